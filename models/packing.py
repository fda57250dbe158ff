"""Packed batches: the tokens of all examples in one tensor [T, ...], in order and without padding."""

from __future__ import annotations

import tensorflow as tf


class Packing:
    """Index of T packed tokens: the example and the position of each; the tokens of an example are consecutive.

    Attributes:
        rows: example of each token, int32 [T], ascending.
        positions: position of each token in its example's input, int32 [T].
        lengths: tokens of each of the B examples, int32 [B], all at least 1.
        starts: packed index of each example's first token, [CLS], int32 [B].
        width: tokens of the longest example, at least 1; the width of the padded view.
        mask: attention mask of the padded view, bool [B, width].
        padded_index: packed index of every place of the padded view, int32 [B, width]; 0 at padding.
        packed_index: place of every packed token in the flattened padded view, int32 [T].
        even: whether all examples are equally long, so that padding is a reshape.
    """

    def __init__(self, rows: tf.Tensor, positions: tf.Tensor, lengths: tf.Tensor):
        self.rows, self.positions, self.lengths = rows, positions, lengths
        examples, tokens = tf.size(lengths), tf.size(rows)
        self.starts = tf.cumsum(lengths, exclusive=True)
        self.width = tf.maximum(tf.reduce_max(lengths), 1)
        places = tf.range(self.width)[tf.newaxis, :]
        self.mask = places < lengths[:, tf.newaxis]
        self.padded_index = tf.where(self.mask, places + self.starts[:, tf.newaxis], 0)
        padding_before = tf.range(examples) * self.width - self.starts
        self.packed_index = tf.range(tokens) + tf.gather(padding_before, rows)
        self.even = tf.equal(tokens, examples * self.width)

    @classmethod
    def of(cls, attention_mask: tf.Tensor) -> Packing:
        """Returns the packing of the positions where a mask [B, n] is 1."""
        visible = attention_mask > 0
        rows, positions = tf.unstack(tf.cast(tf.where(visible), tf.int32), axis=1)
        return cls(rows, positions, tf.reduce_sum(tf.cast(visible, tf.int32), axis=1))

    def coordinates(self) -> tf.Tensor:
        """Returns (example, position in the input) of each token, int32 [T, 2]."""
        return tf.stack([self.rows, self.positions], axis=1)

    def keep(self, kept: tf.Tensor) -> tuple[tf.Tensor, Packing]:
        """Returns the indices of the packed tokens that stay, int32 [T'], and their packing.

        Args:
            kept: bool [B, width].
        """
        kept = kept & self.mask
        tokens = tf.boolean_mask(self.padded_index, kept)
        lengths = tf.reduce_sum(tf.cast(kept, tf.int32), axis=1)
        return tokens, Packing(tf.gather(self.rows, tokens), tf.gather(self.positions, tokens), lengths)

    def pad(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the padded view [B, width, ...] of packed values [T, ...]; values at padding are undefined."""
        return tf.gather(values, self.padded_index)

    def unpad(self, flat: tf.Tensor) -> tf.Tensor:
        """Returns packed values [T, ...] of a flattened padded view [B * width, ...]."""
        return tf.gather(flat, self.packed_index)

    def ragged(self, values: tf.Tensor) -> tf.RaggedTensor:
        """Returns packed values [T, ...] as a ragged tensor with one row per example."""
        return tf.RaggedTensor.from_row_lengths(values, self.lengths, validate=False)
