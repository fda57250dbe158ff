"""BERT's encoder with a removal of tokens before each layer (paper, section 3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import tensorflow as tf
import tf_keras as keras
from transformers.models.bert.modeling_tf_bert import TFBertEncoder

from models.contribution_predictor import ContributionPredictor
from models.length_reduction import (
    INFERENCE_LAMBDA,
    MASKED,
    THETA_MIN,
    contributions,
    effective_length,
    fade,
    hard_keep,
    removable_tokens,
    threshold,
    weigh_cls,
)
from models.packed_layer import run_packed
from models.packing import Packing

ETA_INIT = 0.25
ETA_MIN, ETA_MAX = 0.01, 1.0


@dataclass
class Reduction:
    """Results of an encoder run; lists have one entry per layer.

    Soft removal gives tensors over all n positions. Hard removal gives ragged tensors [B, None, ...] over the tokens
    that the layer ran on (`explanations`: the tokens that entered it), and `hidden_states` [B, 1, H] of [CLS] only.
    """

    hidden_states: tf.Tensor
    explanations: list = field(default_factory=list)
    lengths: list = field(default_factory=list)
    kept_positions: list | None = None
    all_hidden_states: list = field(default_factory=list)
    attentions: list = field(default_factory=list)


class TFAdapLeREncoder(TFBertEncoder):
    """TFBertEncoder with these additions:

    - `contribution_predictors`, `eta` [L] and `theta` [L-1], which exist when `config.adapler` is true;
    - `removal_lambda`, the slope of the soft removal, and `theta_probe` [L-1], which is always 1 and gives the loss a
      gradient with respect to [CLS]'s weight. Both are variables but not weights, so they are not saved;
    - `reduce_softly` and `reduce_hard`, which a converted model uses instead of `call`.
    """

    def build(self, input_shape=None) -> None:
        if self.built:
            return
        super().build(input_shape)
        if self.config.adapler:
            self.add_length_reduction()

    def add_length_reduction(self) -> None:
        """Creates the predictors and thresholds; the caller enters the encoder's name scope first."""
        layers = self.config.num_hidden_layers
        self.contribution_predictors = [
            ContributionPredictor(self.config, name=f"contribution_predictor_._{i}") for i in range(layers)
        ]
        for predictor in self.contribution_predictors:
            with tf.name_scope(predictor.name):
                predictor.build()
        self.eta = self.add_weight(
            name="eta",
            shape=(layers,),
            dtype=tf.float32,
            initializer=keras.initializers.Constant(ETA_INIT),
            constraint=lambda eta: tf.clip_by_value(eta, ETA_MIN, ETA_MAX),
            experimental_autocast=False,
        )
        self.theta = self.add_weight(
            name="theta",
            shape=(layers - 1,),
            dtype=tf.float32,
            initializer="ones",
            constraint=lambda theta: tf.maximum(theta, THETA_MIN),
            experimental_autocast=False,
        )
        self._add_run_time_state(layers)

    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _add_run_time_state(self, layers: int) -> None:
        self.removal_lambda = tf.Variable(INFERENCE_LAMBDA, trainable=False, name="removal_lambda")
        self.theta_probe = tf.Variable(tf.ones(layers - 1), trainable=False, name="theta_probe")

    def thresholds(self, eta_scale: tf.Tensor | float) -> tf.Tensor:
        """Returns the thresholds that the removal uses, eta times the scale clipped to [0, 1]: [L]."""
        return tf.clip_by_value(self.eta * tf.cast(eta_scale, tf.float32), 0.0, ETA_MAX)

    def cls_weight(self, layer: int) -> tf.Tensor | float:
        """Returns the weight of [CLS]'s contribution in the removal before layer `layer`."""
        return self.theta_probe[layer - 1] if layer else 1.0

    def reduce_softly(
        self,
        hidden_states: tf.Tensor,
        attention_mask: tf.Tensor,
        eta_scale: tf.Tensor | float = 1.0,
        output_attentions: bool = False,
        training: bool = False,
    ) -> Reduction:
        """Runs all layers on all positions; the additive attention mask hides removed tokens.

        Args:
            hidden_states: output of the embeddings, [B, n, H].
            attention_mask: 0/1, [B, n].
            eta_scale: factor on every eta.
        """
        eta = self.thresholds(eta_scale)
        removable = removable_tokens(attention_mask)
        additive_mask = (1.0 - tf.cast(attention_mask, tf.float32)) * MASKED
        run = Reduction(hidden_states, all_hidden_states=[hidden_states])
        for index, layer in enumerate(self.layer):
            shares = contributions(self.contribution_predictors[index](run.hidden_states), removable)
            delta = threshold(eta[index], effective_length(removable))
            removable, removal = fade(removable, weigh_cls(shares, self.cls_weight(index)), delta, self.removal_lambda)
            additive_mask = tf.maximum(additive_mask + removal, MASKED)
            self._run_layer(run, layer, additive_mask, output_attentions, training)
            run.explanations.append(shares)
            run.lengths.append(effective_length(removable))
        return run

    def reduce_hard(
        self,
        hidden_states: tf.Tensor,
        attention_mask: tf.Tensor,
        eta_scale: tf.Tensor | float = 1.0,
        output_attentions: bool = False,
    ) -> Reduction:
        """Runs each layer on the remaining tokens only; dense layers skip padding and removed tokens.

        Args:
            hidden_states: output of the embeddings, [B, n, H].
            attention_mask: 0/1, [B, n]; masked positions are removed before the first layer.
            eta_scale: factor on every eta.
        """
        eta = self.thresholds(eta_scale)
        packing = Packing.of(attention_mask)
        run = Reduction(tf.gather_nd(hidden_states, packing.coordinates()), kept_positions=[])
        run.all_hidden_states.append(packing.ragged(run.hidden_states))
        for index, layer in enumerate(self.layer):
            scores = packing.pad(self.contribution_predictors[index](run.hidden_states))
            removable = removable_tokens(packing.mask)
            shares = contributions(scores, removable)
            delta = threshold(eta[index], effective_length(removable))
            keep = hard_keep(weigh_cls(shares, self.cls_weight(index)), delta)
            run.explanations.append(packing.ragged(tf.boolean_mask(shares, packing.mask)))
            kept, packing = packing.keep(keep)
            run.hidden_states, probabilities = run_packed(layer, tf.gather(run.hidden_states, kept), packing)
            run.all_hidden_states.append(packing.ragged(run.hidden_states))
            run.lengths.append(tf.cast(packing.lengths, tf.float32))
            run.kept_positions.append(packing.ragged(packing.positions))
            if output_attentions:
                run.attentions.append(probabilities)
        run.hidden_states = tf.gather(run.hidden_states, packing.starts)[:, tf.newaxis]
        return run

    @staticmethod
    def _run_layer(run: Reduction, layer, additive_mask, output_attentions: bool, training: bool) -> None:
        """Runs one unchanged BERT layer; `additive_mask` is [B, n]."""
        additive_mask = tf.cast(additive_mask, run.hidden_states.dtype)[:, tf.newaxis, tf.newaxis, :]
        outputs = layer(
            hidden_states=run.hidden_states,
            attention_mask=additive_mask,
            head_mask=None,
            encoder_hidden_states=None,
            encoder_attention_mask=None,
            past_key_value=None,
            output_attentions=output_attentions,
            training=training,
        )
        run.hidden_states = outputs[0]
        run.all_hidden_states.append(outputs[0])
        run.attentions.extend(outputs[1:])
