"""What TensorFlow's profiler counts in the model's graph, operation by operation.

The profiler adds up the statistics that TensorFlow has for some kinds of operations: 2 per multiply-add of a matrix
product, 5 per softmax element, 1 per element of most arithmetic, nothing for look-ups and reshapes. Which kinds have
statistics changes from release to release: AddV2 and Neg are counted by today's, and were not by the one behind the
published constants.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from models import TFAdapLeRForSequenceClassification

v1 = tf.compat.v1


@dataclass(frozen=True)
class Operation:
    """One operation of a graph: its name in the graph, its kind (MatMul, AddV2 ...) and its FLOPs."""

    name: str
    kind: str
    flops: int

    @property
    def place(self) -> str:
        """Its name without the model's and without the layer's number, with its kind."""
        inside = re.sub(r"^[^/]+/", "", re.sub(r"_\._\d+", "", self.name))
        return f"{re.sub(r'_[0-9]+(?=/|$)', '', inside)} ({self.kind})"


def profile_bert(config: Any, tokens: int) -> list[Operation]:
    """Operations of plain BERT's graph on one example of `tokens` tokens; nothing is run."""
    with tf.Graph().as_default() as graph:
        TFAdapLeRForSequenceClassification(config)(_inputs(tokens))
        return _profile(graph)


def profile_adapler(config: Any, tokens: int) -> list[Operation]:
    """Operations of AdapLeR's graph on one example, with every shape known because softly removed tokens stay."""
    with tf.Graph().as_default() as graph:
        model = TFAdapLeRForSequenceClassification(config)
        model.to_AdapLeR()
        model(_inputs(tokens))
        return _profile(graph)


def total(operations: list[Operation]) -> int:
    """FLOPs of all operations."""
    return sum(operation.flops for operation in operations)


def by_place(operations: list[Operation]) -> Counter[str]:
    """Place in the model -> FLOPs, summed over layers."""
    flops: Counter[str] = Counter()
    for operation in operations:
        flops[operation.place] += operation.flops
    return flops


def _inputs(tokens: int) -> dict[str, tf.Tensor]:
    ids = np.ones((1, tokens), np.int32)
    return {name: tf.constant(ids) for name in ("input_ids", "attention_mask", "token_type_ids")}


def _profile(graph: tf.Graph) -> list[Operation]:
    options = v1.profiler.ProfileOptionBuilder(v1.profiler.ProfileOptionBuilder.float_operation())
    root = v1.profiler.profile(graph, cmd="scope", options=options.with_empty_output().build())
    kinds = {operation.name: operation.type for operation in graph.get_operations()}
    return [
        Operation(node.name, kinds[node.name], node.float_ops)
        for node in _nodes(root)
        if node.name in kinds and node.float_ops and "/Initializer/" not in node.name
    ]


def _nodes(root):
    yield root
    for child in root.children:
        yield from _nodes(child)
