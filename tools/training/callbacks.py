"""Keras callbacks: progress, what is kept after each epoch, and the correction of a target."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tf_keras as keras
from tqdm import tqdm

from tools.common.atomic_files import link, link_directory, read_json_lines, write_json, write_json_lines
from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.data.examples import Examples
from tools.data.tasks import Task
from tools.evaluation.evaluate import evaluation_summary, flops_speedup, predict
from tools.evaluation.trim_speed import is_near
from tools.runtime.arguments import ALLOWED_LOSS
from tools.runtime.checkpoints import directory_beside, save_model, save_weights
from tools.runtime.fine_tuning_log import best_epochs

ESTIMATED_AFTER = 10
"""Steps after which the duration of a run is estimated."""

Choice = Callable[[list[dict]], int | None]
"""Logs of the epochs so far -> number of the chosen epoch, from 1; None if no epoch qualifies."""


@dataclass(frozen=True)
class AdapLeRFiles:
    """What a run of stage 3 leaves.

    Attributes:
        chosen, last: weights of the chosen and of the last epoch; a save_pretrained directory is beside each.
        log: the scores of all epochs.
        scales: what `choose_eta_scale` stores of the two models.
    """

    chosen: Path
    last: Path
    log: Path
    scales: tuple[Path, Path]

    @classmethod
    def of(cls, paths: TaskPaths, model_name: str) -> AdapLeRFiles:
        models = paths.adapler(model_name), paths.adapler_last(model_name)
        return cls(*models, paths.adapler_log(model_name), tuple(map(paths.eta_scales, models)))


class Progress(keras.callbacks.Callback):
    """A tqdm bar per epoch with the running losses, the share of tokens left and lambda.

    Says how many steps the run has and, after the first ten, how long they will take.
    """

    bar: tqdm | None = None
    steps_done = 0
    seconds = 0.0
    """Time of the steps after the first, which also compiles; without what happens between epochs."""

    def on_train_begin(self, logs=None):
        steps = self.params["steps"] or 0
        print(f"{self.params['epochs']} epochs of {steps} steps", flush=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.bar = tqdm(total=self.params["steps"], desc=f"epoch {epoch + 1}/{self.params['epochs']}", unit="step")
        self.from_epoch_on = (self.params["epochs"] - epoch) * (self.params["steps"] or 0)  # steps
        self.fixed, self.last_step_end = {}, time.monotonic()
        if self.model.is_adapler:
            self.fixed["lambda"] = f"{self.model.bert.encoder.removal_lambda.numpy():.3g}"

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if self.steps_done > 0:
            self.seconds += now - self.last_step_end
        self.last_step_end = now
        self.steps_done += 1
        if self.steps_done == ESTIMATED_AFTER:
            seconds = self.seconds / (ESTIMATED_AFTER - 1)
            left = seconds * (self.from_epoch_on - (batch + 1))
            to_go = f"{left / 60:.0f} minutes" if left >= 120 else f"{left:.0f} seconds"
            self.bar.write(f"{seconds:.2f} s a step: about {to_go} to go, evaluations not counted")
        self.bar.set_postfix({**{name: f"{value:.4g}" for name, value in logs.items()}, **self.fixed}, refresh=False)
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
        for name, value in logs.items():
            if not np.isfinite(value):
                raise UserError(
                    f"the {name} became {value} at step {batch + 1} of the epoch; checkpoints of finished epochs are "
                    "kept; try a smaller --LEARNING_RATE"
                )


class EpochEnd(keras.callbacks.Callback):
    """Scores the dev set after each epoch, logs the scores, then lets a subclass keep what it needs.

    Args:
        scores_file: one JSON line per epoch, with training losses and dev scores.
    """

    def __init__(self, task: Task, dev: Examples, batch_size: int, scores_file: Path):
        super().__init__()
        dev.require_labels("the choice of an epoch on validation")
        self.task, self.dev, self.batch_size, self.scores_file = task, dev, batch_size, scores_file
        self.history: list[dict] = []

    def resume(self, epochs: int) -> None:
        """Continues after the first `epochs` epochs of an interrupted run."""
        self.history = read_json_lines(self.scores_file)[:epochs]

    def has_finished(self, epochs: int) -> bool:
        """Whether an earlier run has finished all epochs."""
        return len(read_json_lines(self.scores_file)) == epochs

    def on_epoch_end(self, epoch, logs=None):
        predictions = predict(self.model, self.dev, self.batch_size)
        if not np.isfinite(predictions.logits).all():
            raise UserError(f"epoch {epoch + 1} ended with logits that are not finite; earlier checkpoints are kept")
        validation = evaluation_summary(self.task, self.model, self.dev, predictions)
        entry = {"epoch": epoch + 1, "train": dict(logs), "validation": validation}
        self.history.append(entry | self.extra_log_fields())
        logs |= {f"validation_{name}": value for name, value in validation.items() if isinstance(value, float)}
        write_json_lines(self.scores_file, self.history[:-1])  # from now on, an earlier run's files give way
        self.keep(epoch + 1)
        write_json_lines(self.scores_file, self.history)
        print(f"epoch {epoch + 1}: {_summary(validation)}", flush=True)

    def extra_log_fields(self) -> dict:
        """Further values to log of an epoch."""
        return {}

    def keep(self, epoch: int) -> None:
        """Saves the epoch, before it is backed up; a run that is killed here repeats the epoch."""
        raise NotImplementedError

    def promote(self, epoch: int) -> None:
        """Follows the backup of the epoch, which from here on counts as finished."""


class KeepFineTuned(EpochEnd):
    """Saves each epoch's weights and the log of dev scores."""

    def __init__(self, task, dev, batch_size, scores_file, paths: TaskPaths, keep_best: int | None):
        super().__init__(task, dev, batch_size, scores_file)
        self.paths, self.keep_best = paths, keep_best

    def keep(self, epoch: int) -> None:
        save_weights(self.model, self.paths.fine_tuned(epoch))
        if len(self.history) == 1:
            for earlier in self.paths.all_fine_tuned:  # of an earlier run
                shutil.rmtree(directory_beside(earlier), ignore_errors=True)
            for earlier in set(self.paths.all_fine_tuned) - {self.paths.fine_tuned(epoch)}:
                earlier.unlink()
        scores = [{"validation": {m: e["validation"][m] for m in self.task.metrics}} for e in self.history]
        write_json(self.paths.fine_tuning_log, scores)

    def resume(self, epochs: int) -> None:
        super().resume(epochs)
        self.promote(epochs)  # in case the run stopped between the backup of its last epoch and this

    def promote(self, epoch: int) -> None:
        """Removes the weights of the worse epochs; before the backup, a resumed run could still need them."""
        if self.keep_best:
            for worse in best_epochs(self.task, self.history)[self.keep_best :]:
                self.paths.fine_tuned(worse).unlink(missing_ok=True)


class KeepAdapLeR(EpochEnd):
    """Saves the last epoch, and the chosen one."""

    def __init__(self, task, dev, batch_size, scores_file, tokenizer, files: AdapLeRFiles, choose: Choice, log: dict):
        """`choose` gives the number of the chosen epoch so far; the epochs are added to `log`."""
        super().__init__(task, dev, batch_size, scores_file)
        self.tokenizer, self.files, self.choose, self.log = tokenizer, files, choose, log

    @property
    def chosen_epoch(self) -> int | None:
        return self.choose(self.history)

    def extra_log_fields(self) -> dict:
        encoder, target = self.model.bert.encoder, self.model.objective.speed_target
        return {
            "lambda": float(encoder.removal_lambda.numpy()),
            "eta": encoder.eta.numpy().tolist(),
            "theta": encoder.theta.numpy().tolist(),
            "correction": None if target is None else float(target.correction.numpy()),
        }

    def resume(self, epochs: int) -> None:
        super().resume(epochs)
        promoted = json.loads(self.files.log.read_text(encoding="utf-8"))["epochs"] if self.files.log.exists() else []
        if len(promoted) < epochs:  # the run stopped between the backup of its last epoch and the choice
            self.promote(epochs)

    def keep(self, epoch: int) -> None:
        save_model(self.model, self.tokenizer, self.files.last)
        if len(self.history) == 1:
            for earlier in (self.files.log, *self.files.scales):
                earlier.unlink(missing_ok=True)  # of an earlier run

    def promote(self, epoch: int) -> None:
        """Makes the last epoch the chosen one, if it is; its files are links, so the weights are stored once."""
        if self.chosen_epoch == epoch:
            link_directory(directory_beside(self.files.last), directory_beside(self.files.chosen))
            link(self.files.last, self.files.chosen)
        write_json(self.files.log, {**self.log, "chosen_epoch": self.chosen_epoch, "epochs": self.history})


class HoldTargetOnDev(keras.callbacks.Callback):
    """Corrects a speed target by what dev and training examples cost; follows the callback that scores dev.

    From the end of the first epoch on at which the target has settled; without effect in runs of one or two epochs.

    Args:
        epoch_end: has the speedup of dev.
        sample: training examples.
    """

    def __init__(self, epoch_end: EpochEnd, sample: Examples):
        super().__init__()
        self.epoch_end, self.sample = epoch_end, sample

    def on_epoch_end(self, epoch, logs=None):
        target, is_last = self.model.objective.speed_target, epoch + 1 == self.params["epochs"]
        if target.is_settled() and not is_last:
            predictions = predict(self.model, self.sample, self.epoch_end.batch_size, "FLOPs of training examples")
            dev_speedup = self.epoch_end.history[-1]["validation"]["speedup"]
            target.correct(dev_speedup, flops_speedup(self.model, predictions))


def fastest_within_loss(metric: str, fine_tuned: float) -> Choice:
    """Chooses the fastest epoch that scores less than a point below fine-tuning, the earlier among equals."""

    def choose(history: list[dict]) -> int | None:
        allowed = [entry for entry in history if entry["validation"][metric] > fine_tuned - ALLOWED_LOSS]
        return max(allowed, key=lambda entry: entry["validation"]["speedup"])["epoch"] if allowed else None

    return choose


def best_near_target(metric: str, target: float) -> Choice:
    """Chooses the best epoch on dev among those within 3 % of the target speedup, or else the nearest."""

    def distance(entry: dict) -> float:
        return abs(entry["validation"]["speedup"] / target - 1)

    def choose(history: list[dict]) -> int | None:
        near = [entry for entry in history if is_near(entry["validation"]["speedup"], target)]
        if near:
            return max(near, key=lambda entry: entry["validation"][metric])["epoch"]
        return min(history, key=distance)["epoch"] if history else None

    return choose


def _summary(values: dict) -> str:
    lengths = " ".join(f"{length:.1f}" for length in values["mean_lengths"])
    scores = [f"{n} {v:.4f}" for n, v in values.items() if isinstance(v, float) and n != "speedup"]
    return f"{', '.join(scores)}, FLOPs speedup {values['speedup']:.2f}x, mean tokens per layer {lengths}"
