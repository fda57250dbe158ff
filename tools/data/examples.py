"""Tokenised examples, and batches of them as a model is fed."""

from __future__ import annotations

import itertools
import math
import zlib
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from tools.common.errors import UserError

INPUTS_SPEC = {
    name: tf.TensorSpec([None, None], tf.int32) for name in ("input_ids", "token_type_ids", "attention_mask")
}
"""What a model is fed: [batch, length] each, padded to the longest example of the batch."""

SORTED_BATCHES = 50
"""Most batches whose examples are sorted by length together."""


@dataclass(frozen=True)
class Examples:
    """Tokenised examples.

    Attributes:
        row_ids: each example's row in the split it was read from, int64 [N].
        input_ids, token_type_ids: ragged int32 [N, None], [CLS] and [SEP] included.
        labels: int32 [N], or float32 for a regression; -1 where unknown.
        pad_id: what fills up batches.
        saliency: ragged float32 [N, None] over the same tokens, once joined.
        teacher_logits: logits of the fine-tuned model, float32 [N, labels], once joined.
        rationale: ragged int32 [N, None], 1 at the human rationale's tokens, where asked for.
        word: ragged int32 [N, None], the word that each token is a piece of, -1 at special tokens, with `rationale`.
        documents: the row that each window was cut from, int64 [N], where the task has windows.
    """

    row_ids: np.ndarray
    input_ids: tf.RaggedTensor
    token_type_ids: tf.RaggedTensor
    labels: np.ndarray
    pad_id: int
    saliency: tf.RaggedTensor | None = None
    rationale: tf.RaggedTensor | None = None
    word: tf.RaggedTensor | None = None
    documents: np.ndarray | None = None
    teacher_logits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.row_ids)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, int64 [N]."""
        return self.input_ids.row_lengths().numpy()

    @property
    def labelled(self) -> bool:
        return bool((self.labels >= 0).all())

    def require_labels(self, purpose: str) -> None:
        """Raises UserError if labels are hidden."""
        if not self.labelled:
            hidden = int((self.labels < 0).sum())
            raise UserError(f"{hidden} of {len(self)} labels are hidden (-1); {purpose} needs them all")

    def take(self, order: np.ndarray) -> Examples:
        """The examples at positions `order`."""
        ragged = {
            name: None if getattr(self, name) is None else tf.gather(getattr(self, name), order)
            for name in ("input_ids", "token_type_ids", "saliency", "rationale", "word")
        }
        arrays = {
            name: None if getattr(self, name) is None else getattr(self, name)[order]
            for name in ("row_ids", "labels", "documents", "teacher_logits")
        }
        return replace(self, **arrays, **ragged)

    def replace_tokens(self, input_ids: tf.RaggedTensor, token_type_ids: tf.RaggedTensor) -> Examples:
        """The same examples with other tokens, and without what belonged to the old ones."""
        return Examples(self.row_ids, input_ids, token_type_ids, self.labels, self.pad_id)

    def row_checksums(self) -> np.ndarray:
        """CRC-32 of each example's tokens and label, uint32 [N]: tells whether a stored row still belongs to it."""
        tokens = np.stack([self.input_ids.values.numpy(), self.token_type_ids.values.numpy()], axis=1).astype("<i4")
        spans = itertools.pairwise(self.input_ids.row_splits.numpy())
        labels = self.labels.astype("<f4")
        rows = [tokens[a:b].tobytes() + label.tobytes() for (a, b), label in zip(spans, labels, strict=True)]
        return np.array([zlib.crc32(row) for row in rows], np.uint32)

    def checksum(self) -> int:
        """CRC-32 of everything that a model is trained on: row ids, tokens, labels, saliencies and teacher logits."""
        arrays = [self.row_ids, self.row_checksums()]
        if self.saliency is not None:
            arrays.append(self.saliency.values.numpy())
        if self.teacher_logits is not None:
            arrays.append(self.teacher_logits)
        return zlib.crc32(b"".join(array.tobytes() for array in arrays))

    def shuffled(self, seed: int) -> Examples:
        """The examples in the one order that a seed gives."""
        return self.take(np.random.default_rng(seed).permutation(len(self)))

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """Batches (inputs, targets) in the examples' order, each padded to its own longest example."""
        return self._gathered(tf.data.Dataset.range(len(self)).batch(batch_size))

    def reshuffled_batches(
        self, batch_size: int, seed: int, first_epoch: int = 0, by_length: bool = False
    ) -> tf.data.Dataset:
        """Batches as of `batches`, in another order each epoch.

        Args:
            first_epoch: how many epochs have passed.
            by_length: batches of examples of similar length. Of each new order, parts of up to 50 batches, a quarter of
                the epoch at most, are sorted by length; then the batches are shuffled.
        """
        positions = tf.data.Dataset.range(len(self)).shuffle(len(self), seed=seed)
        count = math.ceil(len(self) / batch_size)
        if by_length:
            part = batch_size * min(SORTED_BATCHES, math.ceil(count / 4))
            lengths = tf.constant(self.lengths)
            positions = positions.batch(part).map(lambda rows: _sorted_by(lengths, rows)).unbatch()
        positions = positions.batch(batch_size)
        if by_length:
            positions = positions.shuffle(count, seed=seed)
            positions = positions.apply(tf.data.experimental.assert_cardinality(count))
        for _ in range(first_epoch):
            next(iter(positions))  # each start of an iterator draws the next epoch's order
        return self._gathered(positions)

    def _gathered(self, positions: tf.data.Dataset) -> tf.data.Dataset:
        """The examples at each batch of positions."""
        inputs = {"input_ids": self.input_ids, "token_type_ids": self.token_type_ids}
        targets = {"labels": self.labels}
        if self.saliency is not None:
            targets["saliency"] = self.saliency
        if self.teacher_logits is not None:
            targets["teacher_logits"] = self.teacher_logits

        def gather(batch: tf.Tensor) -> tuple[dict, dict]:
            return self._pad(*tf.nest.map_structure(lambda rows: tf.gather(rows, batch), (inputs, targets)))

        return positions.map(gather).prefetch(2)

    def _pad(self, inputs: dict, targets: dict) -> tuple[dict, dict]:
        padded = {
            "input_ids": inputs["input_ids"].to_tensor(self.pad_id),
            "token_type_ids": inputs["token_type_ids"].to_tensor(),
            "attention_mask": tf.ones_like(inputs["input_ids"]).to_tensor(),
        }
        dense = {k: v.to_tensor() if isinstance(v, tf.RaggedTensor) else v for k, v in targets.items()}
        return padded, dense


def _sorted_by(values: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    return tf.gather(positions, tf.argsort(tf.gather(values, positions), stable=True))


def has_evidence(examples: Examples) -> np.ndarray:
    """Which windows hold a part of the human rationale, bool [N]."""
    return tf.reduce_max(examples.rationale, axis=1).numpy() > 0
