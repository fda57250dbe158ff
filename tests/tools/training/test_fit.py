"""The training loop on a tiny model: what is kept, and what an interrupted run continues with."""

import json
import shutil
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from transformers import BertTokenizerFast

from models.objective import Objective, adam
from tests import tiny
from tests.compare import assert_close
from tests.inject_faults import content
from tools.common.atomic_files import write_json_lines
from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.data.examples import Examples
from tools.data.tasks import custom_task
from tools.runtime.arguments import AdapLeRTrainingArguments
from tools.training import callbacks
from tools.training import fit as fit_module
from tools.training.adapler import make_target
from tools.training.callbacks import AdapLeRFiles, KeepAdapLeR, KeepFineTuned, fastest_within_loss
from tools.training.fit import fit

TARGET = 1.4
"""The speedup that a run may have as its target."""

TASK = custom_task(("text",), "label", ("a", "b", "c"), ["train", "validation"])


@pytest.fixture(scope="module", autouse=True)
def saved_dropout_states():
    keras.backend.experimental.enable_tf_random_generator()
    yield
    keras.backend.experimental.disable_tf_random_generator()


def examples(seed: int, rows: int = 8) -> Examples:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 9, rows)
    ids = tf.RaggedTensor.from_row_lengths(rng.integers(5, 50, lengths.sum()).astype(np.int32), lengths)
    saliency = tf.RaggedTensor.from_row_lengths(rng.random(lengths.sum()).astype(np.float32), lengths)
    labels = rng.integers(0, 3, rows).astype(np.int32)
    return Examples(np.arange(rows), ids, tf.zeros_like(ids), labels, 0, saliency)


def arrays(file) -> list[np.ndarray]:
    """The arrays of an .h5 file, in its order of layers; the names hold the model's number."""
    return list(content(file).values())


def train(
    folder,
    interrupt: str | None = None,
    train_on: Examples | None = None,
    speedup: float | None = None,
    **arguments,
):
    """Trains a tiny AdapLeR in `folder` for 6 steps; gives the callback that kept its epochs.

    Args:
        interrupt: where to stop epoch 2, "before" or "after" its backup.
        speedup: the target, if the run has one.
    """
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    training = AdapLeRTrainingArguments(epochs=3, batch_size=4, **arguments)
    model = tiny.make_model(hidden_dropout_prob=0.1)
    rates = adam(1e-2, 6, 1, 1e-12)
    target = None if speedup is None else make_target(speedup, model.config, 6, examples(0).lengths)
    objective = Objective(0.1, 0.1, speed_target=target)
    model.compile(rates, objective=objective, speedup_optimizer=adam(0.1, 6, 1, 1e-12), run_eagerly=True)
    scales = folder / "scales.json", folder / "scales_last.json"
    files = AdapLeRFiles(folder / "chosen.h5", folder / "last.h5", folder / "log.json", scales)
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    choose = fastest_within_loss("accuracy", fine_tuned=0.0)
    epoch_end = KeepAdapLeR(TASK, examples(1), 4, folder / "scores.jsonl", tokenizer, files, choose, {})
    keep, promote = epoch_end.keep, epoch_end.promote

    def keep_and_stop(epoch: int) -> None:
        keep(epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    def stop_or_promote(epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        promote(epoch)

    if interrupt == "before":
        epoch_end.keep = keep_and_stop
    elif interrupt == "after":
        epoch_end.promote = stop_or_promote
    fit(model, train_on or examples(0), training, 5, epoch_end, folder)
    return epoch_end


@pytest.fixture(scope="module")
def run(saved_dropout_states, tmp_path_factory):
    """Trains each run once: (target speedup, where it is interrupted) -> its folder and its callback."""

    @cache
    def trained(speedup: float | None = None, interrupt: str | None = None):
        folder = tmp_path_factory.mktemp("run")
        if interrupt is None:
            return folder, train(folder, speedup=speedup)
        with pytest.raises(KeyboardInterrupt):
            train(folder, interrupt, speedup=speedup)
        return folder, None

    return trained


@pytest.mark.parametrize(("interrupt", "speedup"), [("before", None), ("after", TARGET)])
def test_an_interrupted_run_ends_as_one_that_was_not(run, tmp_path, interrupt, speedup):
    """Before the backup of epoch 2 the epoch is lost and repeated; after it, the chosen files are made up for."""
    folder, whole = run(speedup)
    cut = shutil.copytree(run(speedup, interrupt)[0], tmp_path / "cut")
    resumed = train(cut, speedup=speedup, resume=True)
    assert_close(*([entry["eta"] for entry in epochs.history] for epochs in (resumed, whole)), 1e-6, "eta")
    assert resumed.chosen_epoch == whole.chosen_epoch
    for name in ("last.h5", "chosen.h5"):
        for one, other in zip(arrays(cut / name), arrays(folder / name), strict=True):
            assert_close(one, other, 1e-6, name)
    if speedup is not None:
        expected, actual = (state(epochs.model.objective.speed_target) for epochs in (whole, resumed))
        assert expected[0] == 6 and all(abs(value) > 1e-3 for value in expected)
        assert expected[-1] != 1  # dev has corrected it
        assert actual == pytest.approx(expected, rel=1e-5)


def test_dev_over_training_examples_corrects_a_settled_target(monkeypatch):
    """Not before 60 % of the steps, and not after the last epoch, when nothing trains any more."""
    sample, target = examples(0), make_target(TARGET, tiny.config(), 100, examples(0).lengths)
    dev_scores = SimpleNamespace(history=[{"validation": {"speedup": 1.2}}], batch_size=4)
    monkeypatch.setattr(callbacks, "predict", lambda model, seen, batch_size, desc: seen)
    monkeypatch.setattr(callbacks, "flops_speedup", lambda model, seen: 1.0 if seen is sample else None)
    callback = callbacks.HoldTargetOnDev(dev_scores, sample)
    callback.set_model(SimpleNamespace(objective=SimpleNamespace(speed_target=target)))
    callback.set_params({"epochs": 5})
    corrections = []
    for epoch, dev_speedup in enumerate((1.3, 1.3, 1.2, 1.1, 1.3)):
        target.step.assign(20.0 * (epoch + 1))
        dev_scores.history.append({"validation": {"speedup": dev_speedup}})
        callback.on_epoch_end(epoch)
        corrections.append(float(target.correction))
    assert corrections == pytest.approx([1.0, 1.0, 1.2, 1.1, 1.1])


def test_a_target_is_corrected_by_training_examples_in_the_seeds_order(tmp_path, monkeypatch):
    seen = []

    class Noted(callbacks.HoldTargetOnDev):
        def __init__(self, epoch_end, sample):
            super().__init__(epoch_end, sample)
            seen.append((epoch_end, sample))

    monkeypatch.setattr(fit_module, "HoldTargetOnDev", Noted)
    epoch_end = train(tmp_path, train_on=examples(2, rows=20), speedup=TARGET)
    ((noted, sample),) = seen
    assert noted is epoch_end
    expected = examples(2, rows=20).shuffled(5).row_checksums()[: len(epoch_end.dev)]
    assert sample.row_checksums().tolist() == expected.tolist()


def test_weights_of_worse_epochs_stay_until_the_backup(tmp_path, monkeypatch):
    """A run that was killed before it repeats the epoch, which can then be a worse one."""
    monkeypatch.setattr(callbacks, "save_weights", lambda _, path: path.touch())
    where = TaskPaths("tiny", 5, "custom").seen_through(tmp_path)
    where.models.mkdir()
    keeper, resumed = (
        KeepFineTuned(TASK, examples(1), 4, tmp_path / "scores.jsonl", where, keep_best=1) for _ in range(2)
    )
    for epoch, score in ((1, 0.5), (2, 0.9)):
        keeper.history.append({"epoch": epoch, "validation": dict.fromkeys(TASK.metrics, score)})
        keeper.keep(epoch)
        assert where.fine_tuned(1).exists() and where.fine_tuned(epoch).exists()
    write_json_lines(tmp_path / "scores.jsonl", keeper.history)
    resumed.resume(1)
    assert where.fine_tuned(1).exists()
    resumed.resume(2)  # it was killed after the backup
    assert not where.fine_tuned(1).exists() and where.fine_tuned(2).exists()


@pytest.mark.parametrize("step, to_go", [(60, "2 minutes"), (59, "118 seconds")])
def test_the_time_that_remains_counts_the_steps_that_remain(step, to_go, monkeypatch, capsys):
    """After 10 of 12 steps, in the third epoch; what takes an hour between epochs does not count."""
    steps = iter([0, 9, 10, 11, 12, *range(72, 77), *range(136, 141)])  # the first step also compiles
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: step * next(steps)))
    progress = callbacks.Progress()
    progress.set_params({"epochs": 3, "steps": 4})
    progress.set_model(SimpleNamespace(is_adapler=False))
    for epoch in range(3):
        progress.on_epoch_begin(epoch)
        for batch in range(4):
            progress.on_train_batch_end(batch, {})
        progress.on_epoch_end(epoch)
    assert f"{step}.00 s a step: about {to_go} to go" in capsys.readouterr().out


def state(target) -> list[float]:
    """The step, the running costs, the penalty's weight and dev's correction of a speed target."""
    variables = target.step, target.excess, target.bert_cost, target.pressure, target.correction
    return [float(variable) for variable in variables]


def test_the_chosen_files_are_those_of_the_chosen_epoch(run):
    """Also when the run stops between saving an epoch and its backup."""
    folder, _ = run(interrupt="before")
    log = json.loads((folder / "log.json").read_text())
    assert log["chosen_epoch"] == 1
    model = tiny.make_model(hidden_dropout_prob=0.1)
    model.load_weights(str(folder / "chosen.h5"))
    assert model.bert.encoder.eta.numpy().tolist() == pytest.approx(log["epochs"][0]["eta"])
    assert (folder / "chosen.h5").samefile(folder / "chosen" / "tf_model.h5")


def test_weights_of_an_epoch_are_on_the_disk_once(run):
    folder, epoch_end = run()
    names = ["last.h5", "last/tf_model.h5"]
    if epoch_end.chosen_epoch == 3:
        names += ["chosen.h5", "chosen/tf_model.h5"]
    assert len({(folder / name).stat().st_ino for name in names}) == 1


@pytest.mark.parametrize("change", ["saliency", "tokens", "labels"])
def test_resuming_with_other_examples_is_refused(run, change):
    folder, _ = run(interrupt="before")
    examples_before = examples(0)
    values = {
        "saliency": {"saliency": examples_before.saliency * 2.0},
        "tokens": {"input_ids": (examples_before.input_ids + 1) % 50},
        "labels": {"labels": (examples_before.labels + 1) % 3},
    }
    with pytest.raises(UserError, match="training examples and saliencies are not those"):
        train(folder, train_on=replace(examples_before, **values[change]), resume=True)
