"""The loop that runs a model on all examples, and the compiled functions that it calls."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tqdm import tqdm

from tools.data.examples import Examples
from tools.runtime.devices import compiled

BatchFunction = Callable[[dict[str, tf.Tensor], dict[str, tf.Tensor]], Sequence[Any]]
"""(inputs, targets) of a batch -> tensors or arrays, [batch, ...] each."""


def stream_results(
    function: BatchFunction, examples: Examples, batch_size: int, desc: str
) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
    """Runs a function on batches of examples of similar length, which carry little padding.

    Yields:
        the position of an example in `examples`, and its row of each result. The shortest example comes first; a row
        is padded as its batch is.
    """
    order = np.argsort(examples.lengths, kind="stable")
    rows = _rows(function, examples.take(order).batches(batch_size))
    pairs = zip(order.tolist(), rows, strict=True)
    yield from tqdm(pairs, total=len(examples), desc=desc, unit="example", leave=False)


def collect_results(
    function: BatchFunction, examples: Examples, batch_size: int, desc: str
) -> list[tuple[np.ndarray, ...]]:
    """The rows of `stream_results` in the order of the examples."""
    results = dict(stream_results(function, examples, batch_size, desc))
    return [results[position] for position in range(len(examples))]


def _rows(function: BatchFunction, batches: tf.data.Dataset) -> Iterator[tuple[np.ndarray, ...]]:
    for inputs, targets in batches:
        results = [np.asarray(result) for result in function(inputs, targets)]
        yield from zip(*results, strict=True)


def compiled_once(function: Callable, model: keras.Model, signature: Sequence) -> Callable:
    """`function(model, *batch)` as a compiled function of the batch, kept for the next call.

    It is an attribute of the model, so both are freed together.

    Args:
        signature: of the batch, as in `compiled`.
    """
    functions = vars(model).setdefault("_compiled_functions", {})  # not set by name: Keras would track and save it
    key = function, getattr(model, "is_adapler", False)  # conversion changes what the model computes
    if key not in functions:
        functions[key] = compiled(functools.partial(function, model), model, signature)
    return functions[key]
