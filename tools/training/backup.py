"""What a killed training run needs to continue after its last finished epoch."""

from __future__ import annotations

import shutil
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from tools.training.callbacks import EpochEnd


def dropout_generators(model: keras.Model) -> list[tf.random.Generator]:
    """The random states of the dropout layers, which Keras saves with SavedModels only."""
    generators = []
    with model.distribute_strategy.scope():
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                if not layer.built:
                    layer.build(None)
                generators.append(layer._random_generator._generator)
    return [generator for generator in generators if generator is not None]


class Backup(keras.callbacks.Callback):
    """Saves weights, optimisers with their schedules, and the dropout generators' states after each epoch.

    The last of the callbacks, so that everything else of an epoch is on disk before the epoch counts as finished.

    Args:
        epoch_end: told when an epoch is backed up.
    """

    def __init__(self, model: keras.Model, directory: Path, epoch_end: EpochEnd):
        super().__init__()
        self.directory, self.epoch_end = directory, epoch_end
        self.finished_epochs = tf.Variable(0, dtype=tf.int64, trainable=False)
        optimizers = {
            name: getattr(model, name)
            for name in ("speedup_optimizer", "cp_optimizer")
            if getattr(model, name, None) is not None
        }
        speed_target = model.objective.speed_target
        if speed_target is not None:
            optimizers["speed_target"] = speed_target
        state = tf.train.Checkpoint(
            model=model, finished_epochs=self.finished_epochs, generators=dropout_generators(model), **optimizers
        )
        self.manager = tf.train.CheckpointManager(state, str(directory), max_to_keep=1)

    def restore(self) -> int:
        """Restores the model as it was after the last finished epoch; gives the number of finished epochs."""
        if self.manager.latest_checkpoint:
            self.manager.restore_or_initialize()
        return int(self.finished_epochs.numpy())

    def on_epoch_end(self, epoch, logs=None):
        self.finished_epochs.assign(epoch + 1)
        self.manager.save()
        self.epoch_end.promote(epoch + 1)

    def discard(self) -> None:
        """Removes the backup of a run that has ended well; first the file without which it is none."""
        (self.directory / "checkpoint").unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)
