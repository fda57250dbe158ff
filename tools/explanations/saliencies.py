"""Gradient x input saliencies: computing them, and storing them in files that belong to examples and weights."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from transformers import PreTrainedTokenizerBase

from tools.common.atomic_files import atomic_write, file_checksum, write_array
from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.data.examples import INPUTS_SPEC, Examples
from tools.data.loading import load_examples
from tools.runtime.batches import compiled_once, stream_results
from tools.runtime.fine_tuning_log import saliency_epochs
from tools.runtime.run import Run

UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
"""What NumPy raises for files that are missing or damaged."""


def gradient_x_input(model: keras.Model, inputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> tf.Tensor:
    """Importance of each token's embedding to the gold logit (paper, section 3.1): || dy/dh0 * h0 ||_2.

    Only the gold logit is differentiated, so the cost is one backward pass for any number of labels.

    Args:
        model: a sequence classifier of transformers.
        inputs: int32 [batch, length] each; without attention_mask all tokens count.
        labels: gold labels, int [batch]; a regression's only output is its gold logit whatever the label.

    Returns:
        float32 [batch, length], zero at padding.
    """
    return saliency_and_logits(model, inputs, labels)[0]


def saliency_and_logits(
    model: keras.Model, inputs: Mapping[str, tf.Tensor], labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """`gradient_x_input`, [batch, length], and the logits that it comes from, float32 [batch, labels]."""
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=False, output_hidden_states=True)
        regression = outputs.logits.shape[-1] == 1
        gold = outputs.logits[:, 0] if regression else tf.gather(outputs.logits, labels, batch_dims=1)
    embedded = outputs.hidden_states[0]
    gradient = tape.gradient(gold, embedded)
    saliency = tf.norm(tf.cast(gradient * embedded, tf.float32), axis=-1)
    saliency *= tf.cast(inputs.get("attention_mask", 1), tf.float32)
    return saliency, tf.cast(outputs.logits, tf.float32)


def saliency_matrix(
    model: keras.Model, examples: Examples, max_length: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Saliencies, float32 [N, max_length], and logits, float32 [N, labels], of all examples in their order."""
    compute = compiled_once(saliency_and_logits, model, [INPUTS_SPEC, tf.TensorSpec([None], tf.int32)])
    matrix = np.zeros((len(examples), max_length), np.float32)
    logits = np.zeros((len(examples), model.config.num_labels), np.float32)

    def run(inputs, targets):
        return compute(inputs, tf.cast(targets["labels"], tf.int32))

    for position, (row, example_logits) in stream_results(run, examples, batch_size, "saliencies"):
        matrix[position, : len(row)] = row
        logits[position] = example_logits
    return matrix, logits


@dataclass(frozen=True)
class SaliencyFiles:
    """The stored saliencies of one epoch.

    Attributes:
        matrix: saliencies, float32 [N, max_length].
        rows: row ids, checksums of tokens and labels, and logits of the matrix's examples; checksum of the weights.
        weights: the fine-tuned weights that the saliencies came from.
    """

    matrix: Path
    rows: Path
    weights: Path

    @classmethod
    def of(cls, paths: TaskPaths, split: str, epoch: int) -> SaliencyFiles:
        """The files of a split and an epoch of fine-tuning, counted from 1."""
        return cls(paths.saliency_matrix(split, epoch), paths.saliency_rows(split, epoch), paths.fine_tuned(epoch))

    def write(self, matrix: np.ndarray, logits: np.ndarray, examples: Examples) -> None:
        """Writes the matrix, then the rows: an interruption in between leaves a pair that `read` refuses."""
        write_array(self.matrix, matrix)
        columns = {"row_ids": examples.row_ids, "checksums": examples.row_checksums(), "logits": logits}
        with atomic_write(self.rows) as temporary:
            np.savez(temporary, **columns, weights=file_checksum(self.weights))

    def hold(self, examples: Examples) -> bool:
        """Whether the files hold the saliencies of these examples and the present weights."""
        try:
            columns = self._read_rows()
        except UNREADABLE:
            return False
        same_examples = np.array_equal(columns["checksums"], examples.row_checksums())
        return self.matrix.exists() and same_examples and columns["weights"] == file_checksum(self.weights)

    def _read_rows(self) -> dict[str, np.ndarray]:
        with np.load(self.rows, allow_pickle=False) as columns:
            return {name: columns[name] for name in ("row_ids", "checksums", "weights", "logits")}

    def read(self, examples: Examples, command: str) -> tuple[np.ndarray, np.ndarray]:
        """The examples' saliencies, [N, max_length], and logits, [N, labels], matched by row id.

        Args:
            command: the command that stores saliencies, for the error message.

        Raises:
            UserError: a file is missing or damaged, lacks a row of an example with these very tokens and label, or came
                from other weights than those that are there now.
        """
        try:
            matrix = np.load(self.matrix, mmap_mode="r", allow_pickle=False)
            columns = self._read_rows()
            row_ids, checksums, weights = columns["row_ids"], columns["checksums"], columns["weights"]
        except UNREADABLE as error:
            cause = str(error).split(". ")[0]  # NumPy goes on to say how to load pickles all the same
            raise UserError(f"cannot read the saliencies {self.matrix} ({cause}); run {command}") from error
        if matrix.ndim != 2 or len(matrix) != len(row_ids):
            rows = f"where {self.rows.name} names {len(row_ids)} rows"
            raise UserError(f"{self.matrix} has shape {matrix.shape} {rows}; run {command}")
        if self.weights.exists() and weights != file_checksum(self.weights):
            raise UserError(f"{self.matrix} holds the saliencies of other weights than {self.weights}; run {command}")
        position_of = {row_id: position for position, row_id in enumerate(row_ids.tolist())}
        positions = np.array([position_of.get(row_id, -1) for row_id in examples.row_ids.tolist()])
        is_stored = (positions >= 0) & (checksums[positions] == examples.row_checksums())
        if not is_stored.all():
            missing = examples.row_ids[~is_stored]
            raise UserError(
                f"{self.matrix} has no saliencies for {len(missing)} of {len(examples)} examples with their present "
                f"tokens and labels, the first is row {missing[0]}; run {command} with the same data, backbone and "
                "MAX_LENGTH"
            )
        if examples.lengths.max() > matrix.shape[1]:
            raise UserError(f"{self.matrix} is {matrix.shape[1]} tokens wide, an example has more; run {command}")
        rows = np.asarray(matrix[positions])
        if not np.isfinite(rows).all():
            raise UserError(f"{self.matrix} holds values that are not finite; run {command}")
        return rows, columns["logits"][positions]


def load_training_examples(run: Run, tokenizer: PreTrainedTokenizerBase) -> Examples:
    """Training examples with the saliencies and the logits that stage 2 stored for them.

    Raises:
        UserError: stage 2 has not stored them for these examples and weights.
    """
    examples = load_examples(run.task, "train", tokenizer, run.max_length, run.data_options)
    epochs = saliency_epochs(run.task, run.paths)
    stored = [SaliencyFiles.of(run.paths, "train", epoch) for epoch in epochs]
    command = f"python ./tools/store_saliencies.py --TASK {run.task.name} --DATA_SEED {run.paths.seed}"
    return join(examples, stored, f"{command} --MAX_LENGTH {run.max_length}")


def join(examples: Examples, stored: list[SaliencyFiles], command: str) -> Examples:
    """The examples with their mean saliency over several epochs, and the logits of the first of these.

    Arguments and errors as of `SaliencyFiles.read`.
    """
    saliencies, logits = zip(*(files.read(examples, command) for files in stored), strict=True)
    mean = np.mean(saliencies, axis=0)
    is_token = np.arange(mean.shape[1]) < examples.lengths[:, np.newaxis]
    saliency = tf.RaggedTensor.from_row_lengths(mean[is_token], examples.lengths)
    return replace(examples, saliency=saliency, teacher_logits=logits[0])
