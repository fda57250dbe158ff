"""Keras training as both training stages do it."""

from __future__ import annotations

import argparse
import math

import tf_keras as keras

from tools.callbacks import Progress, StopAtNaN
from tools.data import Examples


def step_counts(settings: argparse.Namespace, examples: Examples) -> tuple[int, int]:
    """Optimiser steps of the whole run, and how many of them are warm-up."""
    steps = settings.epochs * math.ceil(len(examples) / settings.batch_size)
    return steps, int(settings.warmup_ratio * steps)


def fit(
    model: keras.Model,
    settings: argparse.Namespace,
    examples: Examples,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Trains a compiled model; every epoch visits the examples in one order, unless --RESHUFFLE."""
    seed = settings.data_seed
    batches = examples.shuffled(seed).batches(settings.batch_size, seed if settings.reshuffle else None)
    progress = Progress()
    try:
        model.fit(batches, epochs=settings.epochs, verbose=0, callbacks=[progress, StopAtNaN(), *callbacks])
    finally:
        progress.close()
