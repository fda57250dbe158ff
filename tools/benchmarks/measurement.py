"""Measuring time, and the output of a benchmark."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tools.common.atomic_files import write_json
from tools.common.provenance import provenance
from tools.data.examples import INPUTS_SPEC

LEAST_ROUNDS = 3


def as_graph(function: Callable[..., tf.Tensor], signature=INPUTS_SPEC) -> Callable[..., np.ndarray]:
    """Compiles a function of one batch; it returns arrays, so that the work is done when the call returns."""
    graph = tf.function(function, input_signature=[signature])
    return lambda batch: tf.nest.map_structure(lambda result: result.numpy(), graph(batch))


def time_interleaved(
    functions: dict[str, Callable], inputs: Sequence, rounds: int, desc: str, budget: float = float("inf")
) -> dict[str, np.ndarray]:
    """Times functions in turns, so that a busy moment of the machine slows all of them alike.

    Args:
        functions: name -> function of one input that returns when its work is done.
        inputs: what every function is called on in each round; one round that is not counted comes first.
        budget: seconds after which no round begins, but at least three rounds are timed.

    Returns:
        name -> seconds of every call, float64 [rounds, calls].
    """
    names, deadline = list(functions), float("inf")
    seconds = np.zeros((rounds + 1, len(inputs), len(names)))
    for round_number in tqdm(range(rounds + 1), desc=desc, leave=False):
        if round_number == 1:
            deadline = time.perf_counter() + budget
        if round_number > LEAST_ROUNDS and time.perf_counter() > deadline:
            seconds = seconds[:round_number]
            break
        for input_number, value in enumerate(inputs):
            for index in np.roll(np.arange(len(names)), -(input_number + round_number)):
                start = time.perf_counter()
                functions[names[index]](value)
                seconds[round_number, input_number, index] = time.perf_counter() - start
    return {name: seconds[1:, :, index] for index, name in enumerate(names)}


def time_ratio(seconds: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """How many times longer than the reference each round took: median, lowest and highest."""
    ratios = seconds.sum(axis=1) / reference.sum(axis=1)
    return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


def finish(result: dict, table: str, *files: Path | None) -> None:
    """Writes a result with its provenance to every file that is not None, and prints its table."""
    for file in files:
        if file:
            write_json(file, result | provenance())
    print(table)
