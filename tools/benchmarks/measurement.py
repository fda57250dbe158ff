"""Measuring time and memory, and the output of a benchmark."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2
from tqdm import tqdm
from transformers import BertConfig

from tools.common.atomic_files import write_json
from tools.common.provenance import provenance
from tools.data.examples import INPUTS_SPEC

LEAST_ROUNDS = 3
MOST_OPS = 5
PROFILED_CALLS = 3
PRODUCT_ROWS = (1, 8, 16, 32, 64, 128, 512)
PRODUCT_ROUNDS = 15


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


def op_shares(run: Callable, inputs: dict[str, tf.Tensor]) -> dict[str, float]:
    """Shares of the largest ops in the time of all ops, by TensorFlow's profiler, in descending order.

    Args:
        run: a compiled function of `inputs` that returns when its work is done.
    """
    run(inputs)
    with tempfile.TemporaryDirectory() as directory:
        tf.profiler.experimental.start(directory)
        for _ in range(PROFILED_CALLS):
            run(inputs)
        tf.profiler.experimental.stop()
        (file,) = Path(directory).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    picoseconds = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                node, _, op = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if node and not node.endswith(":") and op.isidentifier():  # an op, not a C++ function or a whole graph
                    picoseconds[op] += event.duration_ps
    return {op: duration / picoseconds.total() for op, duration in picoseconds.most_common(MOST_OPS)}


def product_times(config: BertConfig) -> dict[int, float]:
    """Number of rows -> seconds to multiply them with a feed-forward kernel of every layer, read from memory."""
    shape = config.hidden_size, config.intermediate_size
    kernels = [tf.random.normal(shape) for _ in range(config.num_hidden_layers)]
    products = as_graph(
        lambda rows: tf.add_n([tf.matmul(rows, kernel)[0, 0] for kernel in kernels]), tf.TensorSpec([None, shape[0]])
    )
    inputs = [tf.random.normal([count, shape[0]]) for count in PRODUCT_ROWS]
    seconds = time_interleaved({"products": products}, inputs, PRODUCT_ROUNDS, "products")["products"]
    return dict(zip(PRODUCT_ROWS, np.median(seconds, axis=0).tolist(), strict=True))


def finish(result: dict, table: str, *files: Path | None) -> None:
    """Writes a result with its provenance to every file that is not None, and prints its table."""
    for file in files:
        if file:
            write_json(file, result | provenance())
    print(table)
