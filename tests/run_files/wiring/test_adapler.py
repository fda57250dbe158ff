"""What stage 3 computes as published, step by step, against the method's description."""

import json

import numpy as np
import pytest

from models import TFAdapLeRForSequenceClassification
from run_files.run_classification_w_lr import train_adapler
from tests.compare import assert_close
from tests.run_files.wiring.tiny_run import (
    CLASS_WEIGHTS,
    EPOCHS,
    ETA,
    ETA_INIT,
    GAMMA,
    PHI,
    RATE,
    ROWS,
    SEED,
    SPEEDUP_RATE,
    STEPS,
    WARMUP,
    rows_of,
    saliency,
    scripted,
    stage_3,
    visited,
)
from tests.stages import (
    ATTENTION_DROPOUT,
    HIDDEN_DROPOUT,
    ReferenceAdam,
    adapler_gradients,
    assert_moves,
    run_stage,
    weights_of,
)
from tools.runtime import fine_tuning_log
from tools.training import callbacks


def test_adam_has_the_epsilons_of_the_method(fine_tuned, trained):
    assert fine_tuned.model.optimizer.epsilon == 1e-8
    assert trained.model.optimizer.epsilon == trained.model.speedup_optimizer.epsilon == 1e-12


def test_dropout_of_attention_is_off_in_stage_3_only(fine_tuned, trained):
    assert fine_tuned.attention_dropout == {ATTENTION_DROPOUT} and trained.attention_dropout == {0.0}
    assert fine_tuned.hidden_dropout == trained.hidden_dropout == {HIDDEN_DROPOUT}


@pytest.mark.parametrize("stage", ["fine_tuned", "trained"])
def test_every_epoch_visits_the_rows_in_the_order_of_the_seed(stage, request):
    record = request.getfixturevalue(stage)
    order = np.random.default_rng(SEED).permutation(ROWS["train"]).tolist()
    assert order != sorted(order) and visited(record.steps, record.run) == EPOCHS * order
    _, labels = rows_of(record.run, "train")
    assert np.concatenate([step.targets["labels"] for step in record.steps]).tolist() == EPOCHS * labels[order].tolist()


def test_adapler_takes_the_steps_of_the_method(trained):
    main = ReferenceAdam(RATE, WARMUP, STEPS, 1e-12, 0.01)
    speedup = ReferenceAdam(SPEEDUP_RATE, WARMUP, STEPS, 1e-12)
    assert len(trained.steps) == STEPS
    for number, step in enumerate(trained.steps):
        slope = 10.0 ** (1 + number // 3)
        gradients = adapler_gradients(trained.model, step, slope, GAMMA, PHI, CLASS_WEIGHTS)
        expected = main.apply(step.before, gradients[0]) | speedup.apply(step.before, gradients[1])
        expected[ETA] = np.clip(expected[ETA], 0.01, 1)
        moved = assert_moves(step, expected)
        assert moved > 45 if number else moved == 0


def test_the_slope_grows_with_the_epochs(trained):
    slopes = [step.slope for step in trained.steps]
    assert slopes == [10.0] * 3 + [100.0] * 3 + [1000.0] * 3 + [10000.0] * 3


def test_adapler_starts_from_the_given_weights_and_eta(trained, fine_tuned):
    start, given = trained.steps[0].before, fine_tuned.steps[2].after
    for name, weights in given.items():
        assert np.array_equal(start[name], weights), name
    assert np.allclose(start[ETA], ETA_INIT) and (start["bert/encoder/theta:0"] == 1).all()


def test_the_targets_are_the_mean_saliencies_of_three_epochs_by_row(trained, stored):
    tokens, labels = rows_of(stored.run, "train")
    model = TFAdapLeRForSequenceClassification.from_pretrained(stored.run.backbone)
    totals = [0.0] * 3
    for epoch in (2, 3, 4):
        model.load_weights(str(stored.run.paths.fine_tuned(epoch)))
        for row in range(3):
            totals[row] = totals[row] + saliency(model, tokens[row], labels[row])
    rows = visited(trained.steps[:3], trained.run)
    targets = [row for step in trained.steps[:3] for row in step.targets["saliency"]]
    for row in range(3):
        target = targets[rows.index(row)]
        expected = totals[row] / 3
        assert_close(target[: len(expected)], expected, 1e-4 * expected.max(), f"row {row}")
        assert not target[len(expected) :].any()


def test_the_chosen_epoch_is_the_fastest_of_those_that_are_allowed(trained):
    where = trained.run.paths
    name = trained.run.arguments.model_name
    log = json.loads(where.adapler_log(name).read_text())
    assert log["best_fine_tuned"] == 0.9 and log["chosen_epoch"] == 2
    known = fine_tuning_log.read(trained.run.task, where)
    assert log["fine_tuning"] == fine_tuning_log.checksum(known)  # by which a summary knows the model's stage 1
    assert trained.printed.splitlines()[-1] == str(where.adapler(name))
    for file, epoch in ((where.adapler(name), 2), (where.adapler_last(name), 4)):
        model = TFAdapLeRForSequenceClassification.from_pretrained(file.with_suffix(""))
        for variable, weights in weights_of(model).items():
            assert np.array_equal(weights, trained.steps[3 * epoch - 1].after[variable])


@pytest.mark.parametrize("score, kept", [(0.9, "lr.h5"), (0.5, "lr_last.h5")])
def test_a_run_without_a_target_says_that_it_drops_nothing(place, stored, trained, score, kept, monkeypatch):
    assert "drops no tokens" not in trained.printed
    monkeypatch.setattr(callbacks, "evaluation_summary", scripted([(score, 0.99)]))
    record = run_stage("train_adapler", train_adapler, f"{stage_3(place, 1)} --SAVE_NAME slow")
    assert "warning: the model drops no tokens; train towards a speed: --TARGET_SPEEDUP" in record.printed
    assert record.printed.splitlines()[-1].endswith(f"slow_GAMMA{GAMMA}_PHI{PHI}_{kept}")
    assert ("no epoch scored above 0.9000 - 0.01" in record.printed) == (score == 0.5)


def test_the_predictors_have_a_rate_of_their_own(place, stored):
    record = run_stage("train_adapler", train_adapler, f"{stage_3(place, 1)} --CP_LEARNING_RATE 0.04 --SAVE_NAME own")
    main, own = (ReferenceAdam(rate, 0, 3, 1e-12, 0.01) for rate in (RATE, 0.04))
    speedup = ReferenceAdam(SPEEDUP_RATE, 0, 3, 1e-12)
    for step in record.steps:
        gradients, of_thresholds = adapler_gradients(record.model, step, 10.0, GAMMA, PHI, CLASS_WEIGHTS)
        of_predictors = {name: gradients.pop(name) for name in list(gradients) if "contribution_predictor" in name}
        assert len(of_predictors) == 3 * 4 and len(of_thresholds) == 2
        expected = main.apply(step.before, gradients) | own.apply(step.before, of_predictors)
        expected |= speedup.apply(step.before, of_thresholds)
        assert (expected[ETA] < 1).all() and (expected[ETA] > 0.01).all()
        assert_moves(step, expected)
    backbone = TFAdapLeRForSequenceClassification.from_pretrained(record.run.backbone)
    for name, weights in weights_of(backbone).items():
        assert np.array_equal(record.steps[0].before[name], weights), name
