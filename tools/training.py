"""Keras training as both training stages do it."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import tf_keras as keras

from tools.backup import Backup
from tools.callbacks import EpochEnd, Progress, StopAtNaN
from tools.examples import Examples


def step_counts(settings: argparse.Namespace, examples: Examples) -> tuple[int, int]:
    """Optimiser steps of the whole run, and how many of them are warm-up."""
    steps = settings.epochs * math.ceil(len(examples) / settings.batch_size)
    return steps, int(settings.warmup_ratio * steps)


def fit(
    model: keras.Model,
    settings: argparse.Namespace,
    examples: Examples,
    keeper: EpochEnd,
    folder: Path,
) -> None:
    """Trains a compiled model; every epoch visits the examples in one order, unless --RESHUFFLE.

    With --GROUP_BY_LENGTH that is an order of batches of similar length.
    With --RESUME it goes on after the last finished epoch of an earlier run, as if that had not been interrupted.

    Args:
        keeper: what to do after each epoch.
        folder: the run's own, for TensorBoard's events and the backup.
    """
    backup, progress = Backup(model, folder / "backup"), Progress()
    first = 0
    if settings.resume:
        first = backup.restore() or (settings.epochs if keeper.finished(settings.epochs) else 0)
        keeper.resume(first)
        print(f"{first} of {settings.epochs} epochs are finished", flush=True)
    seed = settings.data_seed
    examples = examples.shuffled(seed)
    if settings.group_by_length:
        examples = examples.grouped_by_length(settings.batch_size, seed)
    batches = examples.batches(settings.batch_size, seed if settings.reshuffle else None, first)
    board = keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False)
    callbacks = [progress, StopAtNaN(), keeper, board, backup]
    try:
        model.fit(batches, epochs=settings.epochs, initial_epoch=first, verbose=0, callbacks=callbacks)
    finally:
        progress.close()
    backup.discard()
