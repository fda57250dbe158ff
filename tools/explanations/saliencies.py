"""Gradient x input saliencies: computed, stored with their rows' identity, and joined to examples again."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tools.common.atomic_files import atomic_write, file_checksum, write_array
from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.data.examples import INPUTS_SPEC, Examples
from tools.runtime.devices import compiled


def gradient_x_input(model: tf.keras.Model, inputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> tf.Tensor:
    """How much each token's embedding matters to the gold logit (paper, section 3.1): || dy/dh0 * h0 ||_2.

    Only the gold logit is differentiated, so the cost is one backward pass for any number of labels.

    Args:
        model: a sequence classifier of transformers.
        inputs: int32 [batch, length] each; without attention_mask all tokens count.
        labels: gold labels, int [batch]; a regression's only output is its gold logit whatever the label.

    Returns:
        float32 [batch, length], zero at padding.
    """
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=False, output_hidden_states=True)
        regression = outputs.logits.shape[-1] == 1
        gold = outputs.logits[:, 0] if regression else tf.gather(outputs.logits, labels, batch_dims=1)
    embedded = outputs.hidden_states[0]
    gradient = tape.gradient(gold, embedded)
    saliency = tf.norm(tf.cast(gradient * embedded, tf.float32), axis=-1)
    return saliency * tf.cast(inputs.get("attention_mask", 1), tf.float32)


def saliency_matrix(model: tf.keras.Model, examples: Examples, max_length: int, batch_size: int) -> np.ndarray:
    """Saliencies of all examples, in their order: float32 [N, max_length]."""
    order = np.argsort(examples.lengths, kind="stable")  # batches of like lengths carry little padding
    batches = examples.take(order).batches(batch_size)
    compute = _compiled(model)
    matrix = np.zeros((len(examples), max_length), np.float32)
    done = 0
    with tqdm(total=len(examples), desc="saliencies", unit="example") as bar:
        for inputs, targets in batches:
            rows = compute(inputs, tf.cast(targets["labels"], tf.int32)).numpy()
            matrix[order[done : done + len(rows)], : rows.shape[1]] = rows
            done += len(rows)
            bar.update(len(rows))
    return matrix


@lru_cache(maxsize=1)
def _compiled(model: tf.keras.Model):
    """gradient_x_input as a graph, kept while a model gets the weights of one epoch after another."""

    @compiled(model, [INPUTS_SPEC, tf.TensorSpec([None], tf.int32)])
    def compute(inputs, labels):
        return gradient_x_input(model, inputs, labels)

    return compute


@dataclass(frozen=True)
class Stored:
    """One epoch's saliencies: the matrix, what its rows are and whose they are, and the weights they came from."""

    matrix: Path
    rows: Path
    weights: Path

    @classmethod
    def of(cls, paths: TaskPaths, split: str, epoch: int) -> Stored:
        return cls(paths.saliency_matrix(split, epoch), paths.saliency_rows(split, epoch), paths.fine_tuned(epoch))


def store(files: Stored, matrix: np.ndarray, examples: Examples) -> None:
    """Writes a saliency matrix and, beside it, which example each row belongs to and a checksum of the weights.

    The matrix comes first: cut off in between, it stands beside another checksum, by which it is refused.
    """
    write_array(files.matrix, matrix)
    with atomic_write(files.rows) as temporary:
        facts = {"row_ids": examples.row_ids, "checksums": examples.token_checksums()}
        np.savez(temporary, **facts, weights=file_checksum(files.weights))


def is_stored(files: Stored, examples: Examples) -> bool:
    """Whether a matrix of these examples and weights is there."""
    try:
        _, checksums, weights = _read_rows(files.rows)
    except UNREADABLE:
        return False
    same = np.array_equal(checksums, examples.token_checksums())
    return files.matrix.exists() and same and weights == file_checksum(files.weights)


UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
"""What NumPy raises for files that are missing or damaged."""


def _read_rows(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row ids, token checksums and the checksum of the weights."""
    with np.load(file, allow_pickle=False) as stored:
        return stored["row_ids"], stored["checksums"], stored["weights"]


def join(examples: Examples, files: list[Stored], redo: str) -> Examples:
    """The examples with their mean saliency over several stored matrices, matched by row id.

    Args:
        files: those of each epoch.
        redo: the command that stores saliencies, for the error message.

    Raises:
        UserError: a file is missing or damaged, lacks a row of an example with these very tokens, or came from other
            weights than those that are there now.
    """
    mean = np.mean([_rows_of(examples, one, redo) for one in files], axis=0)
    inside = np.arange(mean.shape[1]) < examples.lengths[:, np.newaxis]
    saliency = tf.RaggedTensor.from_row_lengths(mean[inside], examples.lengths)
    return replace(examples, saliency=saliency)


def _rows_of(examples: Examples, files: Stored, redo: str) -> np.ndarray:
    """The examples' rows of one stored matrix, [N, max_length]."""
    matrix_file, rows_file = files.matrix, files.rows
    try:
        matrix = np.load(matrix_file, mmap_mode="r", allow_pickle=False)
        row_ids, checksums, weights = _read_rows(rows_file)
    except UNREADABLE as error:
        cause = str(error).split(". ")[0]  # NumPy goes on to say how to load pickles all the same
        raise UserError(f"cannot read the saliencies {matrix_file} ({cause}); run {redo}") from error
    if matrix.ndim != 2 or len(matrix) != len(row_ids):
        raise UserError(
            f"{matrix_file} has shape {matrix.shape} where {rows_file.name} names {len(row_ids)} rows; run {redo}"
        )
    if files.weights.exists() and weights != file_checksum(files.weights):
        raise UserError(f"{matrix_file} holds the saliencies of other weights than {files.weights}; run {redo}")
    index = {row_id: position for position, row_id in enumerate(row_ids.tolist())}
    positions = np.array([index.get(row_id, -1) for row_id in examples.row_ids.tolist()])
    fits = (positions >= 0) & (checksums[positions] == examples.token_checksums())
    if not fits.all():
        wrong = examples.row_ids[np.flatnonzero(~fits)[0]]
        raise UserError(
            f"{matrix_file} has no saliencies for {(~fits).sum()} of {len(examples)} training examples as they are "
            f"tokenised now, the first is row {wrong}; run {redo} with the same data, backbone and MAX_LENGTH"
        )
    if examples.lengths.max() > matrix.shape[1]:
        raise UserError(f"{matrix_file} is {matrix.shape[1]} tokens wide, an example has more; run {redo}")
    rows = np.asarray(matrix[positions])
    if not np.isfinite(rows).all():
        raise UserError(f"{matrix_file} holds values that are not finite; run {redo}")
    return rows
