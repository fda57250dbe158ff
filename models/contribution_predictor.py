"""Contribution Predictor (paper, section 3.1): a small network that scores each token of a layer's input."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras
from transformers import BertConfig
from transformers.activations_tf import get_tf_activation
from transformers.modeling_tf_utils import get_initializer

WIDTH = 32
"""Units of the hidden layer, the same for backbones of all sizes."""


class ContributionPredictor(keras.layers.Layer):
    """Dense(32) with the backbone's activation and Dense(1), applied to each token separately."""

    def __init__(self, config: BertConfig, **kwargs):
        super().__init__(**kwargs)
        self.hidden_size = config.hidden_size
        self.hidden = keras.layers.Dense(
            WIDTH,
            activation=get_tf_activation(config.hidden_act),
            kernel_initializer=get_initializer(config.initializer_range),
            name="hidden",
        )
        self.score = keras.layers.Dense(1, kernel_initializer=get_initializer(config.initializer_range), name="score")

    def build(self, input_shape=None) -> None:
        if self.built:
            return
        self.built = True
        for layer, width in ((self.hidden, self.hidden_size), (self.score, WIDTH)):
            with tf.name_scope(layer.name):
                layer.build([None, None, width])

    def call(self, hidden_states: tf.Tensor) -> tf.Tensor:
        """Returns raw scores [...] of hidden states [..., H]; `length_reduction.contributions` normalises them."""
        return tf.squeeze(self.score(self.hidden(hidden_states)), axis=-1)
