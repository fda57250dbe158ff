"""One BERT layer on packed tokens, with the weights and sub-layers of transformers."""

from __future__ import annotations

import tensorflow as tf
from transformers.models.bert.modeling_tf_bert import TFBertLayer

from models.packing import Packing


def run_packed(layer: TFBertLayer, hidden_states: tf.Tensor, packing: Packing) -> tuple[tf.Tensor, tf.Tensor]:
    """Runs the layer on packed tokens; each token attends to the tokens of its own example.

    Args:
        hidden_states: [T, H].

    Returns:
        hidden states [T, H], and attention probabilities [B, heads, width, width]; columns of padding are 0 and rows
        of padding are undefined.
    """
    context, probabilities = _attend(layer.attention.self_attention, hidden_states, packing)
    attended = _add_and_norm(layer.attention.dense_output, context, hidden_states)
    intermediate = layer.intermediate(hidden_states=attended)
    return _add_and_norm(layer.bert_output, intermediate, attended), probabilities


def _add_and_norm(block, inputs: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
    """Returns the output of a BERT block, [T, _] -> [T, H]; LayerNorm needs three axes, products are faster on two."""
    return block.LayerNorm((block.dense(inputs) + residual)[tf.newaxis])[0]


def _attend(attention, hidden_states: tf.Tensor, packing: Packing) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns multi-head attention; only this function pads the tokens, to the longest remaining example."""
    head_size = attention.attention_head_size
    query = attention.query(hidden_states) * tf.cast(head_size**-0.5, attention.compute_dtype)
    key, value = attention.key(hidden_states), attention.value(hidden_states)
    examples, width = tf.size(packing.lengths), packing.width

    def heads(padded: tf.Tensor) -> tf.Tensor:
        split = tf.reshape(padded, [examples, width, attention.num_attention_heads, head_size])
        return tf.transpose(split, [0, 2, 1, 3])

    def weighted_sum(probabilities: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        context = tf.transpose(tf.matmul(probabilities, values), [0, 2, 1, 3])
        return tf.reshape(context, [-1, attention.all_head_size])

    def without_padding():
        probabilities = tf.nn.softmax(tf.matmul(heads(query), heads(key), transpose_b=True))
        return weighted_sum(probabilities, heads(value)), probabilities

    def with_padding():
        scores = tf.matmul(heads(packing.pad(query)), heads(packing.pad(key)), transpose_b=True)
        hidden = tf.where(packing.mask, tf.cast(0, scores.dtype), scores.dtype.min)
        probabilities = tf.nn.softmax(scores + hidden[:, tf.newaxis, tf.newaxis, :])
        return packing.unpad(weighted_sum(probabilities, heads(packing.pad(value)))), probabilities

    return tf.cond(packing.even, without_padding, with_padding)
