"""Batches without padding: the tokens of all examples in one [tokens, width] tensor, in order."""

from __future__ import annotations

import tensorflow as tf


class Packing:
    """Which example each of T packed tokens belongs to; the examples' tokens follow one another.

    Attributes:
        rows: example of each token, int32 [T], ascending.
        positions: place of each token in its example's input, int32 [T].
        lengths: tokens of each of the B examples, int32 [B], all at least 1.
        starts: where each example begins, that is its [CLS], int32 [B].
        width: tokens of the longest example, at least 1; of a padded view therefore.
        mask: attention mask of the padded view, bool [B, width].
        padded_index: packed token for every place of the padded view, int32 [B, width]; 0 stands at padding.
        packed_index: place of every packed token in the flattened padded view, int32 [T].
        even: whether all examples are equally long (as one alone is), so that padding is a mere reshape.
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
        """The tokens that a 0/1 mask [B, n] shows; `coordinates` says where their values are."""
        visible = attention_mask > 0
        rows, positions = tf.unstack(tf.cast(tf.where(visible), tf.int32), axis=1)
        return cls(rows, positions, tf.reduce_sum(tf.cast(visible, tf.int32), axis=1))

    def coordinates(self) -> tf.Tensor:
        """(example, position in the input) of each token, int32 [T, 2]."""
        return tf.stack([self.rows, self.positions], axis=1)

    def keep(self, kept: tf.Tensor) -> tuple[tf.Tensor, Packing]:
        """The packed tokens that stay, int32 [T'], and their packing.

        Args:
            kept: bool [B, width].
        """
        kept = kept & self.mask
        tokens = tf.boolean_mask(self.padded_index, kept)
        lengths = tf.reduce_sum(tf.cast(kept, tf.int32), axis=1)
        return tokens, Packing(tf.gather(self.rows, tokens), tf.gather(self.positions, tokens), lengths)

    def pad(self, values: tf.Tensor) -> tf.Tensor:
        """Packed [T, ...] -> padded [B, width, ...]; what stands at padding means nothing."""
        return tf.gather(values, self.padded_index)

    def unpad(self, flat: tf.Tensor) -> tf.Tensor:
        """Flattened padded view [B * width, ...] -> packed [T, ...]."""
        return tf.gather(flat, self.packed_index)

    def ragged(self, values: tf.Tensor) -> tf.RaggedTensor:
        """Packed values [T, ...] as one ragged row an example."""
        return tf.RaggedTensor.from_row_lengths(values, self.lengths, validate=False)
