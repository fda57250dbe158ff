"""Ways to run one model: plain BERT, packed BERT, and lr_mode in its forms, each with its FLOPs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from transformers import BertConfig, TFBertForSequenceClassification

from models import TFAdapLeRForSequenceClassification
from models.packed_layer import run_packed
from models.packing import Packing
from tools.benchmarks.measurement import as_graph
from tools.flops.formulas import adapler_flops, bert_flops
from tools.inference.export_saved_model import export
from tools.results.benchmark_tables import BASELINE, CALLED, COMPILED, OP_BY_OP, PACKED


def tokens_per_layer(model: TFAdapLeRForSequenceClassification, inputs: dict[str, tf.Tensor]) -> np.ndarray:
    """Tokens of each example, then those that each layer of lr_mode runs on: float [B, L+1]."""
    return np.stack([inputs["attention_mask"].numpy().sum(axis=1), *model(inputs, lr_mode=True).lengths], axis=1)


@dataclass(frozen=True)
class Variant:
    """One way to run a model.

    Attributes:
        run: maps inputs to logits, float32 [B, labels].
        flops: FLOPs of each example, [B], of a config and `tokens_per_layer`.
    """

    run: Callable[[dict[str, tf.Tensor]], np.ndarray]
    flops: Callable[[BertConfig, np.ndarray], np.ndarray] = adapler_flops


def make_variants(model: TFAdapLeRForSequenceClassification) -> dict[str, Variant]:
    """Name -> way to run the model.

    Plain BERT (transformers' own) and packed BERT have the same weights and are compiled. lr_mode runs in a tf.function
    of the user's own, called as in the README, and without any graph.
    """

    def lr_mode(inputs):
        return model(inputs, lr_mode=True).logits

    def lr_mode_op_by_op(inputs):
        tf.config.run_functions_eagerly(True)
        try:
            return lr_mode(inputs).numpy()
        finally:
            tf.config.run_functions_eagerly(False)

    plain_bert = as_graph(lambda inputs: TFBertForSequenceClassification.call(model, **inputs).logits)
    return {
        BASELINE: Variant(plain_bert, lambda config, tokens: bert_flops(config, np.full(len(tokens), tokens.max()))),
        PACKED: packed_bert(model),
        COMPILED: Variant(as_graph(lr_mode)),
        CALLED: Variant(lambda inputs: lr_mode(inputs).numpy()),
        OP_BY_OP: Variant(lr_mode_op_by_op),
    }


def padded_to(length: int, plain_bert: Variant) -> Variant:
    """Plain BERT on inputs that are padded, or cut, to a fixed length."""

    def run(inputs):
        missing = max(length - inputs["input_ids"].shape[1], 0)
        return plain_bert.run({name: tf.pad(ids[:, :length], [[0, 0], [0, missing]]) for name, ids in inputs.items()})

    return Variant(run, lambda config, tokens: bert_flops(config, np.full(len(tokens), length)))


def packed_bert(model: TFAdapLeRForSequenceClassification, left: np.ndarray | None = None) -> Variant:
    """BERT without padding, compiled.

    Args:
        left: tokens of each example at each layer, [B, L], of the only batch that is timed: each layer then runs on as
            many tokens as lr_mode leaves it, and nothing chooses or moves tokens. This is the speed that the layers'
            kernels allow; the logits mean nothing. Default: all tokens in all layers.
    """
    layers = model.bert.encoder.layer
    counts = [None] * len(layers) if left is None else tf.unstack(tf.constant(left.T, tf.int32))

    def logits(inputs):
        packing = Packing.of(inputs["attention_mask"])
        embedded = model.bert.embeddings(input_ids=inputs["input_ids"], token_type_ids=inputs["token_type_ids"])
        hidden_states = tf.gather_nd(embedded, packing.coordinates())
        for layer, lengths in zip(layers, counts, strict=True):
            if lengths is not None:
                packing = Packing.of(tf.sequence_mask(lengths, dtype=tf.int32))
                hidden_states = hidden_states[: tf.reduce_sum(lengths)]
            hidden_states, _ = run_packed(layer, hidden_states, packing)
        cls = tf.gather(hidden_states, packing.starts)[:, tf.newaxis]
        return model.classifier(model.bert.pooler(hidden_states=cls))

    if left is not None:
        return Variant(as_graph(logits))
    return Variant(as_graph(logits), lambda config, tokens: bert_flops(config, tokens[:, 0]))


def saved_model(model: TFAdapLeRForSequenceClassification) -> Variant:
    """lr_mode, exported as a SavedModel and loaded again."""
    with tempfile.TemporaryDirectory() as temporary:
        export(model, Path(temporary) / "saved_model")
        loaded = tf.saved_model.load(f"{temporary}/saved_model")
    return Variant(lambda inputs: loaded.signatures["serving_default"](**inputs)["logits"].numpy())
