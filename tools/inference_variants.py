"""Ways to run one model: plain BERT, packed BERT, and lr_mode in its forms. Each maps inputs to numpy outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from transformers import TFBertForSequenceClassification

from models import TFAdapLeRForSequenceClassification
from models.packed_layer import run_packed
from models.packing import Packing
from tools.data import INPUTS_SPEC
from tools.export_saved_model import export

Variant = Callable[[dict[str, tf.Tensor]], np.ndarray]


def plain_bert(model: TFAdapLeRForSequenceClassification) -> Variant:
    """transformers' own pass over the padded batch with the same weights, compiled."""

    @tf.function(input_signature=[INPUTS_SPEC])
    def run(inputs):
        return TFBertForSequenceClassification.call(model, **inputs).logits

    return lambda inputs: run(inputs).numpy()


def padded_to(length: int, variant: Variant) -> Variant:
    """The variant on inputs padded to a fixed length."""

    def run(inputs):
        extra = length - inputs["input_ids"].shape[1]
        return variant({name: tf.pad(tensor, [[0, 0], [0, extra]]) for name, tensor in inputs.items()})

    return run


def packed_bert(model: TFAdapLeRForSequenceClassification) -> Variant:
    """All tokens through all layers, without padding, compiled."""

    @tf.function(input_signature=[INPUTS_SPEC])
    def run(inputs):
        packing = Packing.of(inputs["attention_mask"])
        embedded = model.bert.embeddings(input_ids=inputs["input_ids"], token_type_ids=inputs["token_type_ids"])
        hidden_states = tf.gather_nd(embedded, packing.coordinates())
        for layer in model.bert.encoder.layer:
            hidden_states, _ = run_packed(layer, hidden_states, packing)
        cls = tf.gather(hidden_states, packing.starts)[:, tf.newaxis]
        return model.classifier(model.bert.pooler(hidden_states=cls))

    return lambda inputs: run(inputs).numpy()


def lr_mode(model: TFAdapLeRForSequenceClassification) -> Variant:
    """The user's own tf.function around lr_mode."""

    @tf.function(input_signature=[INPUTS_SPEC])
    def run(inputs):
        return model(inputs, lr_mode=True).logits

    return lambda inputs: run(inputs).numpy()


def lr_mode_call(model: TFAdapLeRForSequenceClassification) -> Variant:
    """`model(inputs, lr_mode=True)`, as in the README."""
    return lambda inputs: model(inputs, lr_mode=True).logits.numpy()


def lr_mode_op_by_op(model: TFAdapLeRForSequenceClassification) -> Variant:
    """lr_mode without any graph."""

    def run(inputs):
        tf.config.run_functions_eagerly(True)
        try:
            return model(inputs, lr_mode=True).logits.numpy()
        finally:
            tf.config.run_functions_eagerly(False)

    return run


def saved_model(model: TFAdapLeRForSequenceClassification, directory: Path) -> Variant:
    """Exported, and loaded again."""
    export(model, directory)
    loaded = tf.saved_model.load(str(directory))
    serve = loaded.signatures["serving_default"]

    def run(inputs, _keep_alive=loaded):
        return serve(**inputs)["logits"].numpy()

    return run
