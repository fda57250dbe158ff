"""BERT for sequence classification that can be converted to AdapLeR."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

import tensorflow as tf
from transformers import PretrainedConfig, TFBertForSequenceClassification
from transformers.modeling_tf_outputs import TFSequenceClassifierOutput
from transformers.modeling_tf_utils import unpack_inputs

from models.adapler_encoder import Reduction, TFAdapLeREncoder
from models.training_step import TrainingStep


@dataclass
class AdapLeROutput(TFSequenceClassifierOutput):
    """The usual outputs, and per layer what the length reduction did.

    Attributes:
        explanations: contribution of each token entering the layer: [B, n], or ragged [B, None] in lr_mode.
        lengths: tokens the layer ran on, float32 [B]; soft lengths count fading tokens by their share.
        kept_positions: lr_mode only, positions in the input that the layer ran on, ragged int32 [B, None].
    """

    explanations: tuple | None = None
    lengths: tuple | None = None
    kept_positions: tuple | None = None


class TFAdapLeRForSequenceClassification(TrainingStep, TFBertForSequenceClassification):
    """transformers' TFBertForSequenceClassification with these changes:

    1. `to_AdapLeR()` adds a Contribution Predictor per layer and the thresholds eta and theta; before that the model
       is BERT, numerically and by its weights.
    2. A converted model's forward pass drops tokens: softly by default, for training and batched evaluation, and
       for good with `lr_mode=True`.
    3. `config.adapler` records the conversion, so `from_pretrained` restores a converted model as it was.
    4. `train_step` knows AdapLeR's losses and its two groups of parameters (see `TrainingStep`).
    """

    def __init__(self, config, *inputs, **kwargs):
        super().__init__(config, *inputs, **kwargs)
        pooler = self.bert.pooler
        del self.bert.pooler  # .h5 files hold a layer's weights in order of assignment: embeddings, encoder, pooler
        self.bert.encoder = TFAdapLeREncoder(config, name="encoder")
        self.bert.pooler = pooler

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, *args, **kwargs):
        """As in transformers; refuses other architectures by name.

        Raises:
            ValueError: the checkpoint is not a BERT.
        """
        try:
            found = PretrainedConfig.get_config_dict(pretrained_model_name_or_path, **kwargs)[0].get("model_type")
        except OSError:
            if kwargs.get("config") is None:
                raise
            found = None  # weights without a config of their own
        if found not in (None, "bert"):
            raise ValueError(
                f"{pretrained_model_name_or_path} is a '{found}' checkpoint; AdapLeR here is built on 'bert' only"
            )
        return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs) -> None:
        """As in transformers; the config also shows eta and theta to whoever reads it (the weights decide)."""
        if self.is_adapler:
            self.config.eta = self.bert.encoder.eta.numpy().tolist()
            self.config.theta = self.bert.encoder.theta.numpy().tolist()
        super().save_pretrained(save_directory, **kwargs)

    @property
    def is_adapler(self) -> bool:
        """Whether the model has been converted."""
        return getattr(self.config, "adapler", False)

    @property
    def longest_input(self) -> int:
        """Tokens that the model takes: the MAX_LENGTH it was trained with, or else its positions."""
        return getattr(self.config, "MAX_LENGTH", self.config.max_position_embeddings)

    @property
    def eta_scale(self) -> float:
        """Factor on every threshold that the config asks for."""
        return getattr(self.config, "eta_scale", 1.0)

    def to_AdapLeR(self) -> None:
        """Adds the length reduction, with fresh predictors, eta 0.25 and theta 1. Does nothing the second time."""
        if self.is_adapler:
            return
        if not self.built:
            self.build_in_name_scope()
        self.config.update({"adapler": True, "eta_scale": 1.0})
        with tf.name_scope(self.name), tf.name_scope(self.bert.name), tf.name_scope(self.bert.encoder.name):
            self.bert.encoder.add_length_reduction()

    def __call__(self, *args, **kwargs):
        """As in Keras; eta_scale may be a number, which transformers' checks of arguments would refuse."""
        if kwargs.get("eta_scale") is not None:
            kwargs["eta_scale"] = tf.convert_to_tensor(kwargs["eta_scale"], tf.float32)
        return super().__call__(*args, **kwargs)

    @unpack_inputs
    def call(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        head_mask=None,
        inputs_embeds=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
        labels=None,
        training=False,
        lr_mode=False,
        eta_scale=None,
    ):
        """As TFBertForSequenceClassification, with two arguments more.

        Args:
            lr_mode: drop tokens for good instead of masking them; inference only. Batches may be padded: each
                example has the outputs that it has alone. Called eagerly it runs as one compiled graph, unless
                hidden states, attentions, or other positions or embeddings are asked for.
            eta_scale: factor on every threshold, more than 1 drops more (default: the config's, or 1).

        Raises:
            ValueError: lr_mode before `to_AdapLeR()` or while training; an attention mask that hides [CLS]; more tokens
                than positions; token ids outside the vocabulary.
        """
        if not self.is_adapler:
            if lr_mode or eta_scale is not None:
                raise ValueError("lr_mode and eta_scale need a converted model: call to_AdapLeR() first")
            return super().call(
                input_ids=input_ids,
                attention_mask=attention_mask,
                token_type_ids=token_type_ids,
                position_ids=position_ids,
                head_mask=head_mask,
                inputs_embeds=inputs_embeds,
                output_attentions=output_attentions,
                output_hidden_states=output_hidden_states,
                return_dict=return_dict,
                labels=labels,
                training=training,
            )
        if head_mask is not None:
            raise ValueError("head_mask is not supported by TensorFlow BERT")
        inputs = {"input_ids": input_ids, "inputs_embeds": inputs_embeds}
        inputs |= {"position_ids": position_ids, "token_type_ids": token_type_ids}
        if lr_mode and training:
            raise ValueError("lr_mode is for inference; train with the soft removal (lr_mode=False)")
        attention_mask = self._checked_mask(input_ids, inputs_embeds, attention_mask)
        eta_scale = self.eta_scale if eta_scale is None else eta_scale
        wanted = output_attentions, output_hidden_states
        if lr_mode:
            output = self._run_lr_mode(inputs, attention_mask, eta_scale, *wanted)
        else:
            output = self._run_softly(inputs, attention_mask, eta_scale, *wanted, training)
        if labels is not None:
            output.loss = self.hf_compute_loss(labels=labels, logits=output.logits)
        return output if return_dict else output.to_tuple()

    def _checked_mask(self, input_ids, inputs_embeds, attention_mask) -> tf.Tensor:
        """The attention mask, int32 [B, n], of inputs that the model can take."""
        if attention_mask is None:
            attention_mask = tf.ones(tf.shape(input_ids if inputs_embeds is None else inputs_embeds)[:2], tf.int32)
        attention_mask = tf.cast(attention_mask, tf.int32)
        _require_cls(attention_mask)
        _require_positions(attention_mask, self.config.max_position_embeddings)
        if input_ids is not None:
            _require_known_tokens(input_ids, self.config.vocab_size)
        return attention_mask

    def _run_softly(self, inputs, attention_mask, eta_scale, attentions: bool, hidden_states: bool, training: bool):
        """Every token through every layer, under a mask that the removal makes."""
        embedded = self.bert.embeddings(**inputs, training=training)
        run = self.bert.encoder.reduce_softly(embedded, attention_mask, eta_scale, attentions, training)
        return self._finish(run, training, attentions, hidden_states)

    def _run_lr_mode(self, inputs: dict, attention_mask, eta_scale, attentions: bool, hidden_states: bool):
        """lr_mode in one graph where it can: op by op, Python would take longer than the dropped tokens save."""
        unusual = attentions or hidden_states or inputs["input_ids"] is None or inputs["position_ids"] is not None
        if unusual or not tf.executing_eagerly():
            embedded = self.bert.embeddings(**inputs)
            run = self.bert.encoder.reduce_hard(embedded, attention_mask, eta_scale, attentions)
            return self._finish(run, False, attentions, hidden_states)
        input_ids, token_type_ids = tf.cast(inputs["input_ids"], tf.int32), inputs["token_type_ids"]
        token_type_ids = tf.zeros_like(input_ids) if token_type_ids is None else tf.cast(token_type_ids, tf.int32)
        eta_scale = tf.cast(eta_scale, tf.float32)
        return AdapLeROutput(**self._compiled_lr_mode(input_ids, token_type_ids, attention_mask, eta_scale))

    @cached_property
    def _compiled_lr_mode(self):
        """lr_mode as one graph for every batch size and length."""
        tokens = tf.TensorSpec([None, None], tf.int32)

        @tf.function(input_signature=[tokens, tokens, tokens, tf.TensorSpec([], tf.float32)])
        def run(input_ids, token_type_ids, attention_mask, eta_scale):
            embedded = self.bert.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
            return dict(
                self._finish(self.bert.encoder.reduce_hard(embedded, attention_mask, eta_scale), training=False)
            )

        return run

    def _finish(self, run: Reduction, training: bool, attentions: bool = False, hidden_states: bool = False):
        """Pooler and classifier on [CLS], and everything that the run left behind."""
        pooled = self.bert.pooler(hidden_states=run.hidden_states)
        return AdapLeROutput(
            logits=tf.cast(self.classifier(inputs=self.dropout(inputs=pooled, training=training)), tf.float32),
            hidden_states=tuple(run.all_hidden_states) if hidden_states else None,
            attentions=tuple(run.attentions) if attentions else None,
            explanations=tuple(run.explanations),
            lengths=tuple(run.lengths),
            kept_positions=None if run.kept_positions is None else tuple(run.kept_positions),
        )


def _require_cls(attention_mask: tf.Tensor) -> None:
    """[CLS] must be the first position of every example, visible: the pooler reads it there."""
    message = "position 0 of every example must be [CLS] with attention mask 1; pad on the right"
    if attention_mask.shape[1] == 0:
        raise ValueError(f"inputs have no tokens; {message}")
    if not tf.executing_eagerly():
        tf.debugging.assert_positive(attention_mask[:, 0], message=message)
    elif not tf.reduce_all(attention_mask[:, 0] > 0):
        raise ValueError(message)


def _require_positions(attention_mask: tf.Tensor, positions: int) -> None:
    """No input may be longer than the model has positions for."""
    if attention_mask.shape[1] is not None and attention_mask.shape[1] > positions:
        raise ValueError(
            f"an input of {attention_mask.shape[1]} tokens is longer than the model's {positions} positions"
        )


def _require_known_tokens(input_ids: tf.Tensor, vocabulary: int) -> None:
    """In a graph, TensorFlow's own check of indices has to do."""
    if tf.executing_eagerly() and tf.size(input_ids) > 0:
        low, high = int(tf.reduce_min(input_ids)), int(tf.reduce_max(input_ids))
        if low < 0 or high >= vocabulary:
            raise ValueError(f"token ids from {low} to {high} do not fit the model's vocabulary of {vocabulary}")
