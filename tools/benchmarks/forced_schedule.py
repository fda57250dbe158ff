"""A model whose tokens leave by a schedule instead of by their content: to time shapes that no training gave yet."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras
from transformers import BertConfig

from models import TFAdapLeRForSequenceClassification
from tools.flops.formulas import adapler_flops, bert_flops

REMOVED = -50.0
"""Score of a token that must go: its contribution is 0 to float32."""


class ForcedPredictor(keras.layers.Layer):
    """Does a Contribution Predictor's work, then lets a random but fixed part of the tokens survive."""

    def __init__(self, predictor: keras.layers.Layer, survive: tf.Variable, seed: int):
        super().__init__()
        self.predictor, self.survive, self.seed = predictor, survive, seed

    def call(self, hidden_states: tf.Tensor) -> tf.Tensor:
        scores = self.predictor(hidden_states)
        drawn = tf.random.stateless_uniform(tf.shape(scores), [self.seed, 0])
        return tf.where(drawn < self.survive, 0.0, REMOVED) + 1e-6 * tf.tanh(scores)


class ForcedSchedule:
    """A converted model of random weights of which each layer keeps about the same share of its tokens.

    Survivors fall geometrically over the layers and stand at random positions.
    """

    def __init__(self, config: BertConfig):
        self.model = TFAdapLeRForSequenceClassification(config)
        self.model.build_in_name_scope()
        self.model.to_AdapLeR()
        encoder = self.model.bert.encoder
        self.survive = tf.Variable(1.0)
        encoder.contribution_predictors = [
            ForcedPredictor(predictor, self.survive, seed)
            for seed, predictor in enumerate(encoder.contribution_predictors)
        ]
        encoder.eta.assign(tf.fill([config.num_hidden_layers], 0.5))

    def aim_at(self, speedup: float, lengths: np.ndarray) -> None:
        """Sets the share so that the FLOPs of inputs of these lengths fall about `speedup` times; 1 keeps all."""
        config, low, high = self.model.config, 0.0, 1.0
        powers = np.arange(config.num_hidden_layers + 1)
        for _ in range(40):
            middle = (low + high) / 2
            left = np.maximum(lengths[:, np.newaxis] * middle**powers, 1)
            reached = bert_flops(config, lengths).sum() / adapler_flops(config, left).sum()
            low, high = (middle, high) if reached > speedup else (low, middle)
        self.survive.assign(1.0 if speedup <= 1 else (low + high) / 2)
