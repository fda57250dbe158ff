"""Ways to run one model: plain BERT, packed BERT, and lr_mode in its forms, each with the FLOPs that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from transformers import BertConfig, TFBertForSequenceClassification

from models import TFAdapLeRForSequenceClassification
from models.packed_layer import run_packed
from models.packing import Packing
from tools.data.examples import INPUTS_SPEC
from tools.flops.formulas import adapler_flops, bert_flops
from tools.inference.export_saved_model import export


@dataclass(frozen=True)
class Sizes:
    """One batch: tokens of each example, int [B]; left at each layer of lr_mode, float [B, L]; width with padding."""

    entered: np.ndarray
    left: np.ndarray
    width: int


@dataclass(frozen=True)
class Variant:
    """`run` maps inputs to numpy logits; `flops` tells what that takes for a config and a batch's sizes."""

    run: Callable[[dict[str, tf.Tensor]], np.ndarray]
    flops: Callable[[BertConfig, Sizes], float]


def padded_flops(config: BertConfig, sizes: Sizes) -> float:
    return len(sizes.entered) * float(bert_flops(config, sizes.width))


def packed_flops(config: BertConfig, sizes: Sizes) -> float:
    return float(bert_flops(config, sizes.entered).sum())


def reduced_flops(config: BertConfig, sizes: Sizes) -> float:
    return float(adapler_flops(config, np.concatenate([sizes.entered[:, np.newaxis], sizes.left], axis=1)).sum())


def plain_bert(model: TFAdapLeRForSequenceClassification) -> Variant:
    """transformers' own pass over the padded batch with the same weights, compiled."""

    @tf.function(input_signature=[INPUTS_SPEC])
    def run(inputs):
        return TFBertForSequenceClassification.call(model, **inputs).logits

    return Variant(lambda inputs: run(inputs).numpy(), padded_flops)


def padded_to(length: int, variant: Variant) -> Variant:
    """A padded variant on inputs of a fixed length: longer with padding, shorter by cutting."""

    def run(inputs):
        extra = max(length - inputs["input_ids"].shape[1], 0)
        cut = {name: tensor[:, :length] for name, tensor in inputs.items()}
        return variant.run({name: tf.pad(tensor, [[0, 0], [0, extra]]) for name, tensor in cut.items()})

    return Variant(run, lambda config, sizes: variant.flops(config, replace(sizes, width=length)))


def packed_bert(model: TFAdapLeRForSequenceClassification) -> Variant:
    """All tokens through all layers, without padding, compiled."""

    @tf.function(input_signature=[INPUTS_SPEC])
    def run(inputs):
        packing, hidden_states = _embed(model, inputs)
        for layer in model.bert.encoder.layer:
            hidden_states, _ = run_packed(layer, hidden_states, packing)
        return _classify(model, hidden_states, packing)

    return Variant(lambda inputs: run(inputs).numpy(), packed_flops)


def layers_alone(model: TFAdapLeRForSequenceClassification, left: np.ndarray) -> Variant:
    """BERT's layers, each on as many tokens as lr_mode leaves it, with nothing that chooses or moves tokens: the speed
    that these kernels allow. The logits mean nothing.

    Args:
        left: tokens of each example at each layer, [B, L], for the one batch that is timed.
    """
    lengths = tf.constant(left.T, tf.int32)

    @tf.function(input_signature=[INPUTS_SPEC])
    def run(inputs):
        packing, hidden_states = _embed(model, inputs)
        for layer, counts in zip(model.bert.encoder.layer, tf.unstack(lengths), strict=True):
            packing = Packing.of(tf.sequence_mask(counts, dtype=tf.int32))
            hidden_states, _ = run_packed(layer, hidden_states[: tf.reduce_sum(counts)], packing)
        return _classify(model, hidden_states, packing)

    return Variant(lambda inputs: run(inputs).numpy(), reduced_flops)


def _embed(model, inputs: dict[str, tf.Tensor]) -> tuple[Packing, tf.Tensor]:
    packing = Packing.of(inputs["attention_mask"])
    embedded = model.bert.embeddings(input_ids=inputs["input_ids"], token_type_ids=inputs["token_type_ids"])
    return packing, tf.gather_nd(embedded, packing.coordinates())


def _classify(model, hidden_states: tf.Tensor, packing: Packing) -> tf.Tensor:
    cls = tf.gather(hidden_states, packing.starts)[:, tf.newaxis]
    return model.classifier(model.bert.pooler(hidden_states=cls))


def lr_mode(model: TFAdapLeRForSequenceClassification) -> Variant:
    """The user's own tf.function around lr_mode."""

    @tf.function(input_signature=[INPUTS_SPEC])
    def run(inputs):
        return model(inputs, lr_mode=True).logits

    return Variant(lambda inputs: run(inputs).numpy(), reduced_flops)


def lr_mode_call(model: TFAdapLeRForSequenceClassification) -> Variant:
    """`model(inputs, lr_mode=True)`, as in the README."""
    return Variant(lambda inputs: model(inputs, lr_mode=True).logits.numpy(), reduced_flops)


def lr_mode_op_by_op(model: TFAdapLeRForSequenceClassification) -> Variant:
    """lr_mode without any graph."""

    def run(inputs):
        tf.config.run_functions_eagerly(True)
        try:
            return model(inputs, lr_mode=True).logits.numpy()
        finally:
            tf.config.run_functions_eagerly(False)

    return Variant(run, reduced_flops)


def saved_model(model: TFAdapLeRForSequenceClassification, directory: Path) -> Variant:
    """Exported, and loaded again."""
    export(model, directory)
    loaded = tf.saved_model.load(str(directory))
    serve = loaded.signatures["serving_default"]

    def run(inputs, _keep_alive=loaded):
        return serve(**inputs)["logits"].numpy()

    return Variant(run, reduced_flops)
