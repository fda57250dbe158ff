"""The training loop of stages 1 and 3, with Keras."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np
import tf_keras as keras

from tools.common.atomic_files import write_json
from tools.common.errors import UserError
from tools.data.examples import Examples
from tools.runtime.arguments import TrainingArguments
from tools.training.backup import Backup
from tools.training.callbacks import EpochEnd, HoldTargetOnDev, Progress, StopAtNaN


def step_counts(training: TrainingArguments, examples: int) -> tuple[int, int]:
    """Optimiser steps of the whole run, and how many of them are warm-up."""
    steps = training.epochs * math.ceil(examples / training.batch_size)
    return steps, int(training.warmup_ratio * steps)


def fit(
    model: keras.Model,
    examples: Examples,
    training: TrainingArguments,
    seed: int,
    epoch_end: EpochEnd,
    folder: Path,
) -> None:
    """Trains a compiled model.

    Every epoch visits the examples in one random order, which the seed gives. `training.reshuffle` draws a new order
    each epoch, `training.group_by_length` one of batches of similar length.
    `training.resume` continues after the last finished epoch of an interrupted run, if its examples, saliencies and
    initial weights were the same.

    Args:
        epoch_end: scores dev and keeps weights after each epoch.
        folder: the run's own, for TensorBoard's events and the backup.
    """
    inputs = {
        "training examples and saliencies": examples.checksum(),
        "dev examples": epoch_end.dev.checksum(),
        "initial weights": _weights_checksum(model),
    }
    _record_inputs(folder / "inputs.json", inputs, training.resume)
    backup, progress = Backup(model, folder / "backup", epoch_end), Progress()
    finished = 0
    if training.resume:
        finished = backup.restore()
        if finished == 0 and epoch_end.has_finished(training.epochs):
            finished = training.epochs
        epoch_end.resume(finished)
        print(f"{finished} of {training.epochs} epochs are finished", flush=True)
    examples = examples.shuffled(seed)
    batches = examples.batches(training.batch_size)
    if training.reshuffle or training.group_by_length:
        batches = examples.reshuffled_batches(training.batch_size, seed, finished, training.group_by_length)
    board = keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False)
    scoring = [epoch_end]
    if model.objective.speed_target is not None:
        sample = examples.take(np.arange(min(len(examples), len(epoch_end.dev))))
        scoring.append(HoldTargetOnDev(epoch_end, sample))
    every = [progress, StopAtNaN(), *scoring, board, backup]
    try:
        model.fit(batches, epochs=training.epochs, initial_epoch=finished, verbose=0, callbacks=every)
    finally:
        progress.close()
    backup.discard()


def _record_inputs(file: Path, inputs: dict[str, int], resume: bool) -> None:
    """Stores checksums of what a run trains on, or compares them with those of the run that it resumes.

    Raises:
        UserError: the interrupted run trained on something else.
    """
    if resume and file.exists():
        earlier = json.loads(file.read_text(encoding="utf-8"))
        changed = [name for name, checksum in inputs.items() if earlier.get(name) != checksum]
        if changed:
            raise UserError(
                f"--RESUME: the {', '.join(changed)} are not those of the interrupted run; restore them, or delete "
                f"{file.parent} and start again without --RESUME"
            )
    write_json(file, inputs)


def _weights_checksum(model: keras.Model) -> int:
    checksum = 0
    for weight in model.weights:
        checksum = zlib.crc32(np.ascontiguousarray(weight.numpy()), checksum)
    return checksum
