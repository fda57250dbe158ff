"""Keras callbacks: progress, the slope schedule, and what is kept after each epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tf_keras as keras
from tqdm import tqdm

from tools.checkpoints import save_directory, save_weights
from tools.data import Examples
from tools.errors import UserError
from tools.evaluation import Predictions, predict, report
from tools.files import write_json
from tools.fine_tuning_log import best_epochs
from tools.paths import TaskPaths
from tools.tasks import Task

ALLOWED_LOSS = 0.01
"""How much worse than the best fine-tuned score a chosen AdapLeR may be (paper, section 4.2)."""


class Progress(keras.callbacks.Callback):
    """A tqdm bar per epoch with the running losses, the share of tokens left and lambda."""

    bar: tqdm | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self.bar = tqdm(total=self.params["steps"], desc=f"epoch {epoch + 1}/{self.params['epochs']}", unit="step")

    def on_train_batch_end(self, batch, logs=None):
        shown = {name: f"{value:.4g}" for name, value in logs.items()}
        if self.model.is_adapler:
            shown["lambda"] = f"{self.model.bert.encoder.removal_lambda.numpy():.3g}"
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self.close()

    def close(self) -> None:
        """Leaves the bar as it is, wherever training ended."""
        if self.bar is not None:
            self.bar.close()


class StopAtNaN(keras.callbacks.Callback):
    """Ends the run with an error as soon as the loss is not finite; what earlier epochs saved stays."""

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(list(logs.values())).all():
            raise UserError(
                f"the loss became {logs['loss']} at step {batch + 1} of the epoch; checkpoints of finished epochs are "
                "kept; try a smaller --LEARNING_RATE"
            )


def slope(epoch: int, epochs: int) -> float:
    """lambda in epoch 0, 1, ... of a run (published schedule): 10 * 10^e, or steeper and gentler for 3 and 10."""
    start, growth = {3: (50.0, 50.0), 10: (10.0, 3.0)}.get(epochs, (10.0, 10.0))
    return start * growth**epoch


class SlopeSchedule(keras.callbacks.Callback):
    """Hardens the removal from epoch to epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.bert.encoder.removal_lambda.assign(slope(epoch, self.params["epochs"]))


class EpochEnd(keras.callbacks.Callback):
    """Scores the dev set after each epoch, then lets a subclass keep what it wants."""

    def __init__(self, task: Task, dev: Examples, batch_size: int):
        super().__init__()
        self.task, self.dev, self.batch_size = task, dev, batch_size
        self.history: list[dict] = []

    def on_epoch_end(self, epoch, logs=None):
        predictions = predict(self.model, self.dev, self.batch_size)
        if not np.isfinite(predictions.logits).all():
            raise UserError(f"epoch {epoch + 1} ended with logits that are not finite; earlier checkpoints are kept")
        self.history.append({"validation": report(self.task, self.model, self.dev, predictions)})
        self.keep(epoch + 1, predictions)
        print(f"epoch {epoch + 1}: {_summary(self.history[-1]['validation'])}", flush=True)

    def keep(self, epoch: int, predictions: Predictions) -> None:
        raise NotImplementedError

    def score(self, epoch: int) -> float:
        """Primary dev score of an epoch, counted from 1."""
        return self.history[epoch - 1]["validation"][self.task.primary_metric]


class KeepFineTuned(EpochEnd):
    """Saves each epoch's weights and the log of dev scores."""

    def __init__(self, task, dev, batch_size, where: TaskPaths, keep_best: int | None):
        super().__init__(task, dev, batch_size)
        self.where, self.keep_best = where, keep_best

    def keep(self, epoch: int, predictions: Predictions) -> None:
        save_weights(self.model, self.where.fine_tuned(epoch))
        scores = [{"validation": {m: e["validation"][m] for m in self.task.metrics}} for e in self.history]
        write_json(self.where.fine_tuning_log, scores)
        if self.keep_best:
            for worse in best_epochs(self.task, scores)[self.keep_best :]:
                self.where.fine_tuned(worse).unlink(missing_ok=True)


class KeepFastest(EpochEnd):
    """Saves the last epoch, and as the chosen one the fastest whose dev score is within a point of fine-tuning's."""

    def __init__(self, task, dev, batch_size, tokenizer, files: tuple[Path, Path, Path], log: dict):
        """`log` holds at least best_fine_tuned, the dev score to stay near; the epochs are added to it."""
        super().__init__(task, dev, batch_size)
        self.tokenizer = tokenizer
        self.chosen_file, self.last_file, self.log_file = files
        self.log = log
        self.chosen_epoch: int | None = None

    def keep(self, epoch: int, predictions: Predictions) -> None:
        encoder = self.model.bert.encoder
        self.history[-1] |= {
            "lambda": float(encoder.removal_lambda.numpy()),
            "eta": encoder.eta.numpy().tolist(),
            "theta": encoder.theta.numpy().tolist(),
        }
        self._save(self.last_file)
        if self.score(epoch) > self.log["best_fine_tuned"] - ALLOWED_LOSS and self._faster(epoch):
            self.chosen_epoch = epoch
            self._save(self.chosen_file)
        write_json(self.log_file, {**self.log, "chosen_epoch": self.chosen_epoch, "epochs": self.history})

    def _faster(self, epoch: int) -> bool:
        speedups = [entry["validation"]["speedup"] for entry in self.history]
        return self.chosen_epoch is None or speedups[epoch - 1] > speedups[self.chosen_epoch - 1]

    def _save(self, file: Path) -> None:
        save_weights(self.model, file)
        save_directory(self.model, self.tokenizer, file.with_suffix(""))


def _summary(values: dict) -> str:
    lengths = " ".join(f"{length:.1f}" for length in values["mean_lengths"])
    scores = [f"{n} {v:.4f}" for n, v in values.items() if isinstance(v, float) and n != "speedup"]
    return f"{', '.join(scores)}, FLOPs speedup {values['speedup']:.2f}x, mean tokens per layer {lengths}"
