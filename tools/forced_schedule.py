"""A model whose tokens leave by a schedule instead of by their content: to time shapes that no training gave yet."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras
from transformers import BertConfig

from models import TFAdapLeRForSequenceClassification
from tools.flops import adapler_flops, bert_flops

REMOVED = -50.0


class ForcedPredictor(keras.layers.Layer):
    """Does a Contribution Predictor's work, then lets a fixed random part of the tokens survive."""

    def __init__(self, predictor: keras.layers.Layer, survive: float, seed: int):
        super().__init__()
        self.predictor, self.survive, self.seed = predictor, survive, seed

    def call(self, hidden_states: tf.Tensor) -> tf.Tensor:
        scores = self.predictor(hidden_states)
        drawn = tf.random.stateless_uniform(tf.shape(scores), [self.seed, 0])
        return tf.where(drawn < self.survive, 0.0, REMOVED) + 1e-6 * tf.tanh(scores)


def forced_model(config: BertConfig, survive: float) -> TFAdapLeRForSequenceClassification:
    """A converted model of random weights in which each layer keeps about the share `survive` of its tokens."""
    model = TFAdapLeRForSequenceClassification(config)
    model.build_in_name_scope()
    model.to_AdapLeR()
    force(model, survive)
    return model


def force(model: TFAdapLeRForSequenceClassification, survive: float) -> None:
    """Replaces what the predictors say; 1 keeps everything."""
    encoder = model.bert.encoder
    predictors = [getattr(p, "predictor", p) for p in encoder.contribution_predictors]
    encoder.contribution_predictors = [ForcedPredictor(p, survive, seed) for seed, p in enumerate(predictors)]
    encoder.eta.assign(tf.fill([len(predictors)], 0.5))


def survival_for(config: BertConfig, lengths: np.ndarray, speedup: float) -> float:
    """The share that each layer must keep so that the FLOPs of inputs of these lengths fall by `speedup`."""
    low, high = 0.0, 1.0
    powers = np.arange(config.num_hidden_layers + 1)
    for _ in range(40):
        middle = (low + high) / 2
        left = np.maximum(lengths[:, np.newaxis] * middle**powers, 1)
        reached = bert_flops(config, lengths).sum() / adapler_flops(config, left).sum()
        low, high = (middle, high) if reached > speedup else (low, middle)
    return (low + high) / 2
