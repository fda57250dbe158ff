"""What bounds lr_mode: each op's share of its time, and what a matrix product of few rows costs."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2
from transformers import BertConfig

from tools.benchmarks.timing import time_interleaved

MOST_OPS = 5
ROWS = (1, 8, 16, 32, 64, 128, 512)
REPEATS = 3


def op_shares(run: Callable, inputs: dict[str, tf.Tensor]) -> dict[str, float]:
    """Share of an op in the time of all ops, by TensorFlow's profiler: the largest few, in order.

    Args:
        run: a compiled function of `inputs` that returns when its work is done.
    """
    run(inputs)
    with tempfile.TemporaryDirectory() as directory:
        tf.profiler.experimental.start(directory)
        for _ in range(REPEATS):
            run(inputs)
        tf.profiler.experimental.stop()
        (file,) = Path(directory).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    picoseconds = Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            node, _, op = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if node and not node.endswith(":") and op.isidentifier():  # an op, not a C++ function or a whole graph
                picoseconds[op] += event.duration_ps
    total = picoseconds.total()
    return {op: time / total for op, time in picoseconds.most_common(MOST_OPS)}


def product_times(config: BertConfig) -> dict[int, float]:
    """Seconds to multiply so many rows with a feed-forward kernel of every layer; each kernel is read from memory."""
    shape = config.hidden_size, config.intermediate_size
    kernels = [tf.random.normal(shape) for _ in range(config.num_hidden_layers)]

    @tf.function(reduce_retracing=True)
    def multiply(rows: tf.Tensor) -> tf.Tensor:
        return tf.add_n([tf.matmul(rows, kernel)[0, 0] for kernel in kernels])

    inputs = {rows: tf.random.normal([rows, config.hidden_size]) for rows in ROWS}
    runs = {rows: lambda _, x=x: multiply(x).numpy() for rows, x in inputs.items()}
    times = time_interleaved(runs, [None], 5 * REPEATS, "products")
    return {rows: time.latency(50) for rows, time in times.items()}
