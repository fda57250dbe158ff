"""A three-layer BERT with odd sizes, and data for it; everything runs in seconds."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from transformers import BertConfig

from models import TFAdapLeRForSequenceClassification

LENGTHS = (7, 5, 2)


def config(**changes) -> BertConfig:
    sizes = dict(
        vocab_size=50,
        hidden_size=12,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=16,
        num_labels=3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.5,
    )
    return BertConfig(**(sizes | changes))


def make_model(seed: int = 0, converted: bool = True, **changes) -> TFAdapLeRForSequenceClassification:
    tf.keras.utils.set_random_seed(seed)
    model = TFAdapLeRForSequenceClassification(config(**changes))
    model.build_in_name_scope()
    if converted:
        model.to_AdapLeR()
        model.bert.encoder.eta.assign(np.linspace(0.4, 0.9, model.config.num_hidden_layers))
    return model


def inputs(lengths=LENGTHS, seed: int = 0, width: int | None = None) -> dict[str, np.ndarray]:
    """Right-padded random sentences with [CLS] 2 and [SEP] 3."""
    rng = np.random.default_rng(seed)
    width = width or max(lengths)
    ids = np.zeros((len(lengths), width), np.int32)
    for row, length in enumerate(lengths):
        ids[row, :length] = rng.integers(5, 50, length)
        ids[row, 0] = 2
        ids[row, length - 1] = 3 if length > 1 else 2
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int32)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def batch(lengths=LENGTHS, seed: int = 0, labels: int = 3):
    """(inputs, targets) as training wants them, saliencies included."""
    rng = np.random.default_rng(seed + 1)
    arrays = inputs(lengths, seed)
    saliency = rng.random(arrays["input_ids"].shape).astype(np.float32) * arrays["attention_mask"]
    targets = {"labels": rng.integers(0, labels, len(lengths)).astype(np.int32), "saliency": saliency}
    return tf.nest.map_structure(tf.constant, (arrays, targets))
