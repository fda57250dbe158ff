"""What a run with a target keeps and learns from, and what stage 4 counts."""

import json
import shutil

import numpy as np
import pytest
from transformers import BertTokenizerFast

from models import TFAdapLeRForSequenceClassification
from run_files.run_classification_evaluation import evaluate
from run_files.run_classification_w_lr import train_adapler
from tests.compare import assert_close
from tests.run_files.wiring.tiny_run import (
    ETA,
    FINE_TUNED_SCORES,
    forward,
    rows_of,
    scripted,
    speedup_by_hand,
    training,
    visited,
)
from tests.stages import (
    Record,
    eager,
    run_stage,
    weights_of,
)
from tools.runtime.checkpoints import set_eta_scale
from tools.training import callbacks

TARGET = 1.15
NEAR_TARGET = [(0.85, TARGET), (0.95, 3.0)]
"""Dev score and speedup that the epochs of a run with a target seem to have: the second is faster and better."""


@pytest.fixture(scope="module")
def towards_target(place, stored) -> Record:
    """Stage 3 with a target speedup and scripted dev scores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "evaluation_summary", scripted(NEAR_TARGET))
        return run_stage("train_adapler", train_adapler, f"{place} {training(2)} --TARGET_SPEEDUP {TARGET}")


def test_a_run_with_a_target_keeps_the_best_epoch_near_it_and_trims_it(towards_target):
    where, name = towards_target.run.paths, towards_target.run.arguments.model_name
    log = json.loads(where.adapler_log(name).read_text())
    assert log["chosen_epoch"] == 1 and log["target_speedup"] == TARGET
    chosen, scale = towards_target.steps[2].after, log["trimmed_by"]
    assert abs(scale - 1) > 0.01
    model = TFAdapLeRForSequenceClassification.from_pretrained(where.adapler(name).with_suffix(""))
    for variable, weights in weights_of(model).items():
        expected = np.minimum(scale * chosen[variable], 1) if variable == ETA else chosen[variable]
        assert_close(weights, expected, 1e-6, variable)
    lengths = []
    for ids in rows_of(towards_target.run, "validation")[0]:
        with eager():
            outputs = forward(model, ids, lr_mode=True)
        lengths.append([len(ids), *(int(length[0]) for length in outputs.lengths)])
    assert log["trimmed"]["speedup"] == pytest.approx(speedup_by_hand(np.array(lengths)))
    assert f"epoch 1 is kept, the best on dev within 3 % of {TARGET}x\n" in towards_target.printed
    assert f"{log['trimmed']['speedup']:.2f}x of {TARGET}x asked" in towards_target.printed
    assert towards_target.printed.splitlines()[-1] == str(where.adapler(name))


def test_a_run_with_a_target_learns_from_the_best_fine_tuned_epoch(towards_target, fine_tuned):
    model, run = fine_tuned.model, fine_tuned.run
    model.load_weights(str(run.paths.fine_tuned(1 + int(np.argmax(FINE_TUNED_SCORES)))))
    tokens, _ = rows_of(run, "train")
    logits = [logits for step in towards_target.steps[:3] for logits in step.targets["teacher_logits"]]
    for row, teacher in zip(visited(towards_target.steps[:3], run), logits, strict=True):
        expected = forward(model, tokens[row]).logits[0]
        assert_close(teacher, expected, 1e-4 * np.abs(expected).max())


@pytest.fixture(scope="module")
def dropping(trained):
    """The directory of a model that drops tokens."""
    directory = trained.run.paths.adapler_last(trained.run.arguments.model_name).with_suffix("")
    model = TFAdapLeRForSequenceClassification.from_pretrained(directory)
    for predictor in model.bert.encoder.contribution_predictors:
        predictor.score.kernel.assign(50 * predictor.score.kernel)
    saved = directory.with_name("dropping")
    model.save_pretrained(saved)
    BertTokenizerFast.from_pretrained(directory).save_pretrained(saved)
    return saved


def test_evaluation_counts_every_example_and_all_flops(place, dropping):
    record = run_stage("evaluate", evaluate, f"{place} --MODEL_PATH {dropping} --AS_PUBLISHED_FLOPS")
    results = json.loads(record.run.paths.evaluation(dropping, 1.0).read_text())
    model = TFAdapLeRForSequenceClassification.from_pretrained(dropping)
    tokens, labels = rows_of(record.run, "validation")
    answers, lengths, last = [], [], []
    with eager():
        for ids in tokens:
            outputs = forward(model, ids, lr_mode=True)
            answers.append(outputs.logits.numpy().argmax())
            lengths.append([len(ids), *(int(length[0]) for length in outputs.lengths)])
            last.append(int((outputs.explanations[-1].values.numpy() > model.bert.encoder.eta.numpy()[-1]).sum()))
    lengths = np.array(lengths)
    assert lengths[:, -1].sum() < 0.9 * lengths[:, 0].sum()
    found = results["validation"]
    assert found["examples"] == 5 and found["accuracy"] == pytest.approx(np.mean(np.array(answers) == labels))
    assert found["mean_lengths"] == pytest.approx(lengths.mean(axis=0), abs=1e-4)
    assert found["speedup"] == pytest.approx(speedup_by_hand(lengths))
    layers = np.concatenate([lengths[:, 1:-1], np.array(last)[:, None]], axis=1)
    n, label_count = lengths[:, 0], max(answers) + 1
    plain = (37872 * n**2 + 170216500 * n + 1183490 + 1537 * (label_count - 1)).sum()
    sums = (3156 * layers**2 + 14233554 * layers).sum(axis=1)
    adapler = (1183537 + 1537 * (label_count - 1) + 6152 * layers[:, 0] + sums).sum()
    assert found["published_speedup"] == pytest.approx(plain / adapler)
    assert "accuracy" not in results["test"] and results["test"]["examples"] == 5
    assert "test: 5 of 5 labels are hidden (-1), so it has no score" in record.printed


def test_evaluations_at_two_eta_scales_share_no_file(place, dropping, tmp_path):
    """The logits and FLOPs of each example are those of the scores beside them."""
    directory, speedups = shutil.copytree(dropping, tmp_path / "scaled"), []
    for scale in (1.0, 0.0):
        set_eta_scale(directory, scale)
        where = run_stage("evaluate", evaluate, f"{place} --MODEL_PATH {directory} --SPLIT validation").run.paths
    for scale in (1.0, 0.0):
        speedups.append(json.loads(where.evaluation(directory, scale).read_text())["validation"]["speedup"])
        with np.load(where.flops_per_example(directory, "validation", scale)) as stored:
            assert stored["bert"].sum() / stored["model"].sum() == pytest.approx(speedups[-1])
    assert speedups[0] > speedups[1] + 0.01
