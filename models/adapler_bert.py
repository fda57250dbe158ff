"""BERT for sequence classification that can be converted to AdapLeR."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import tensorflow as tf
from transformers import BertConfig, TFBertForSequenceClassification
from transformers.modeling_tf_outputs import TFSequenceClassifierOutput
from transformers.modeling_tf_utils import unpack_inputs

from models.adapler_config import AdapLeRConfig, checked
from models.adapler_encoder import Reduction, TFAdapLeREncoder
from models.training_step import TrainingStep, attention_mask_of


@dataclass
class AdapLeROutput(TFSequenceClassifierOutput):
    """Outputs of a classifier in transformers, and the result of the length reduction for each layer.

    Attributes:
        explanations: contribution of each token entering the layer: [B, n], or ragged [B, None] in lr_mode.
        lengths: tokens that the layer ran on, float32 [B]; soft lengths count a token by its soft mask.
        kept_positions: in lr_mode, the positions in the input that the layer ran on, ragged int32 [B, None].
    """

    explanations: tuple | None = None
    lengths: tuple | None = None
    kept_positions: tuple | None = None


class TFAdapLeRForSequenceClassification(TrainingStep, TFBertForSequenceClassification):
    """transformers' TFBertForSequenceClassification with these changes:

    1. `to_AdapLeR()` adds a Contribution Predictor per layer and the thresholds eta and theta; before that the model
       has the weights and outputs of BERT.
    2. The forward pass of a converted model drops tokens: by a soft mask by default, which training and batched
       evaluation use, and by removing them with `lr_mode=True`.
    3. `config` is an `AdapLeRConfig`, a copy of the argument; it records the conversion for `from_pretrained`.
    4. `train_step` and `test_step` compute the losses of AdapLeR (see `TrainingStep`).
    """

    config_class = AdapLeRConfig

    def __init__(self, config: BertConfig, *inputs, **kwargs):
        super().__init__(AdapLeRConfig.copy_of(config), *inputs, **kwargs)
        pooler = self.bert.pooler
        del self.bert.pooler  # .h5 files hold a layer's weights in order of assignment: embeddings, encoder, pooler
        self.bert.encoder = TFAdapLeREncoder(self.config, name="encoder")
        self.bert.pooler = pooler

    @property
    def is_adapler(self) -> bool:
        """Whether the model is converted."""
        return self.config.adapler

    @property
    def longest_input(self) -> int:
        """Largest number of tokens of an input: the length used in training, or else the number of positions."""
        return self.config.max_input_length or self.config.max_position_embeddings

    @property
    def eta_scale(self) -> float:
        """Factor on every threshold, from the config."""
        return self.config.eta_scale

    def to_AdapLeR(self) -> None:
        """Adds the length reduction, with new predictors, eta 0.25 and theta 1; a converted model stays as it is."""
        if self.is_adapler:
            return
        if not self.built:
            self.build_in_name_scope()
        self.config.update({"adapler": True, "eta_scale": 1.0})
        with tf.name_scope(self.name), tf.name_scope(self.bert.name), tf.name_scope(self.bert.encoder.name):
            self.bert.encoder.add_length_reduction()

    def __call__(self, *args, **kwargs):
        """As in Keras; converts eta_scale to a tensor, because transformers accepts no numbers as arguments.

        Raises:
            ValueError: the value of eta_scale is known and is not a finite number of at least 0.
        """
        if kwargs.get("eta_scale") is not None:
            kwargs["eta_scale"] = tf.convert_to_tensor(kwargs["eta_scale"], tf.float32)
            value = tf.get_static_value(kwargs["eta_scale"])
            if value is not None:
                checked("eta_scale", float(value))
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
        """As TFBertForSequenceClassification, with two more arguments.

        Args:
            lr_mode: remove dropped tokens from the computation instead of masking them; for inference only. Padding
                does not change the outputs of an example. An eager call runs as one compiled graph, unless it asks for
                hidden states or attentions or gives position ids or embeddings.
            eta_scale: factor on every threshold, at least 0; more than 1 drops more tokens (default: the config's).

        Raises:
            ValueError: lr_mode before `to_AdapLeR()` or in training; an attention mask of 0 at [CLS]; more tokens than
                positions; token ids outside the vocabulary; an eta_scale that is negative or not finite.
        """
        if not self.is_adapler:
            if lr_mode or eta_scale is not None:
                raise ValueError("lr_mode and eta_scale need a converted model: call to_AdapLeR() first")
            inputs = input_ids, attention_mask, token_type_ids, position_ids, head_mask, inputs_embeds
            return super().call(*inputs, output_attentions, output_hidden_states, return_dict, labels, training)
        if head_mask is not None:
            raise ValueError("head_mask is not supported by TensorFlow BERT")
        inputs = {"input_ids": input_ids, "inputs_embeds": inputs_embeds}
        inputs |= {"position_ids": position_ids, "token_type_ids": token_type_ids}
        if lr_mode and training:
            raise ValueError("lr_mode is for inference; train with the soft removal (lr_mode=False)")
        attention_mask = _checked_mask(inputs | {"attention_mask": attention_mask}, self.config)
        eta_scale = self.eta_scale if eta_scale is None else eta_scale
        wanted = output_attentions, output_hidden_states
        if lr_mode:
            output = self._run_lr_mode(inputs, attention_mask, eta_scale, *wanted)
        else:
            output = self._run_softly(inputs, attention_mask, eta_scale, *wanted, training)
        if labels is not None:
            output.loss = self.hf_compute_loss(labels=labels, logits=output.logits)
        return output if return_dict else output.to_tuple()

    def _run_softly(self, inputs, attention_mask, eta_scale, attentions: bool, hidden_states: bool, training: bool):
        """Runs every layer on every token, with the mask of the soft removal."""
        embedded = self.bert.embeddings(**inputs, training=training)
        run = self.bert.encoder.reduce_softly(embedded, attention_mask, eta_scale, attentions, training)
        return self._finish(run, training, attentions, hidden_states)

    def _run_lr_mode(self, inputs: dict, attention_mask, eta_scale, attentions: bool, hidden_states: bool):
        """Runs lr_mode, in one compiled graph where possible; op by op, Python costs more than the removal saves."""
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
        """lr_mode as one compiled graph for every batch size and length."""
        tokens = tf.TensorSpec([None, None], tf.int32)

        @tf.function(input_signature=[tokens, tokens, tokens, tf.TensorSpec([], tf.float32)])
        def run(input_ids, token_type_ids, attention_mask, eta_scale):
            embedded = self.bert.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
            return dict(
                self._finish(self.bert.encoder.reduce_hard(embedded, attention_mask, eta_scale), training=False)
            )

        return run

    def _finish(self, run: Reduction, training: bool, attentions: bool = False, hidden_states: bool = False):
        """Returns the outputs: pooler and classifier on [CLS], and the results of the encoder."""
        pooled = self.bert.pooler(hidden_states=run.hidden_states)
        return AdapLeROutput(
            logits=tf.cast(self.classifier(inputs=self.dropout(inputs=pooled, training=training)), tf.float32),
            hidden_states=tuple(run.all_hidden_states) if hidden_states else None,
            attentions=tuple(run.attentions) if attentions else None,
            explanations=tuple(run.explanations),
            lengths=tuple(run.lengths),
            kept_positions=None if run.kept_positions is None else tuple(run.kept_positions),
        )


def _checked_mask(inputs: dict, config: BertConfig) -> tf.Tensor:
    """Returns the attention mask, int32 [B, n].

    Raises:
        ValueError: the mask is of another shape than the tokens; position 0 of an example, where the pooler reads
            [CLS], is masked; an input has more tokens than the model has positions; a token id of an eager call is
            unknown (in a graph, TensorFlow checks the ids).
    """
    mask, message = attention_mask_of(inputs), "position 0 of every example must be [CLS] with attention mask 1"
    ids = inputs["input_ids"]
    tokens = inputs["inputs_embeds"] if ids is None else ids
    if not mask.shape.is_compatible_with(tokens.shape[:2]):
        raise ValueError(f"the attention mask has shape {mask.shape}, the tokens have {tokens.shape[:2]}")
    length = mask.shape[1]
    if length == 0:
        raise ValueError(f"inputs have no tokens; {message}")
    if length is not None and length > config.max_position_embeddings:
        raise ValueError(f"an input of {length} tokens is longer than the {config.max_position_embeddings} positions")
    if not tf.executing_eagerly():
        tf.debugging.assert_equal(tf.shape(mask), tf.shape(tokens)[:2], message="mask and tokens differ in shape")
        tf.debugging.assert_positive(mask[:, 0], message=message)
        return mask
    if not tf.reduce_all(mask[:, 0] > 0):
        raise ValueError(f"{message}; pad on the right")
    if ids is not None and tf.size(ids) > 0:
        low, high = int(tf.reduce_min(ids)), int(tf.reduce_max(ids))
        if low < 0 or high >= config.vocab_size:
            raise ValueError(f"token ids from {low} to {high} do not fit the model's vocabulary of {config.vocab_size}")
    return mask
