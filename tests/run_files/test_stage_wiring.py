"""What each stage computes, step by step, against the method's description: losses, rates, order, choices and files."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from transformers import BertTokenizerFast

from models import TFAdapLeRForSequenceClassification
from run_files.run_classification_bert import fine_tune
from run_files.run_classification_evaluation import evaluate
from run_files.run_classification_w_lr import train_adapler
from tests.compare import assert_close
from tests.stages import (
    ATTENTION_DROPOUT,
    HIDDEN_DROPOUT,
    Record,
    ReferenceAdam,
    adapler_gradients,
    assert_moves,
    cross_entropy,
    eager,
    plain_gradients,
    run_stage,
    weights_of,
    write_random_backbone,
    write_task,
)
from tools.common import paths
from tools.data.tasks import TABLE
from tools.runtime.run import Run
from tools.store_saliencies import store_saliencies
from tools.training import callbacks

ROWS = {"train": 11, "validation": 5, "test": 5}
BATCH, EPOCHS, SEED = 4, 4, 5
STEPS, WARMUP = EPOCHS * 3, 3  # 11 rows make 3 batches of 4; a quarter of the steps is warm-up
CLASS_WEIGHTS = (1.0, 3.0)
FINE_TUNED_SCORES = [0.2, 0.9, 0.5, 0.7]
GAMMA, PHI, ETA_INIT = 0.3, 0.02, 0.4
RATE, SPEEDUP_RATE = 0.01, 0.05
ETA = "bert/encoder/eta:0"
SCRIPT = [(0.9, 2.0), (0.9, 3.0), (0.895, 2.5), (0.5, 9.0)]
"""Dev score and speedup that the epochs of stage 3 seem to have; the best fine-tuned epoch has 0.9."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The flags of a tiny task whose labels have weights, and a directory for its files."""
    root = tmp_path_factory.mktemp("wiring")
    backbone, data = write_random_backbone(root / "tiny_wiring"), write_task(root / "data", ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "DIRECTORY", root / "directory")
        patch.setitem(TABLE, "sst2", replace(TABLE["sst2"], class_weights=CLASS_WEIGHTS))
        flags = f"--BACKBONE {backbone} --DATA_DIR {data} --MAX_LENGTH 16"
        yield f"--TASK sst2 --DATA_SEED {SEED} {flags} --BATCH_SIZE {BATCH}"


def training(epochs: int = EPOCHS, rate: float = RATE) -> str:
    return f"--EPOCHS {epochs} --LEARNING_RATE {rate} --WARMUP_RATIO 0.25"


@pytest.fixture(scope="module")
def fine_tuned(place) -> Record:
    return run_stage("fine_tune", fine_tune, f"{place} {training()} --CLIP_NORM 0.5")


@pytest.fixture(scope="module")
def stored(place, fine_tuned) -> Record:
    """Stage 2, after the dev scores of stage 1 were set to FINE_TUNED_SCORES."""
    log = json.dumps([{"validation": {"accuracy": score}} for score in FINE_TUNED_SCORES])
    fine_tuned.run.paths.fine_tuning_log.write_text(log)
    return run_stage("store_saliencies", store_saliencies, place)


def stage_3(place: str, epochs: int = EPOCHS) -> str:
    weights = f"--GAMMA {GAMMA} --PHI {PHI} --SPEEDUP_LEARNING_RATE {SPEEDUP_RATE} --ETA_INIT {ETA_INIT}"
    return f"{place} {training(epochs)} {weights}"


def scripted(script: list[tuple[float, float]]) -> Callable[..., dict]:
    """A summary of an evaluation that gives these scores and speedups, one after the other."""
    scores = iter(script)

    def summary(*_) -> dict:
        accuracy, speedup = next(scores)
        return {"accuracy": accuracy, "speedup": speedup, "mean_lengths": [1.0], "examples": 5}

    return summary


@pytest.fixture(scope="module")
def trained(place, stored) -> Record:
    """Stage 3 with scripted dev scores, from weights of stage 1; the stored saliencies lie in another order."""
    where = stored.run.paths
    for epoch in (2, 3, 4):
        rows = where.saliency_rows("train", epoch)
        with np.load(rows) as columns:
            turned = {name: column[::-1] if column.ndim else column for name, column in columns.items()}
        np.savez(rows, **turned)
        np.save(where.saliency_matrix("train", epoch), np.load(where.saliency_matrix("train", epoch))[::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "evaluation_summary", scripted(SCRIPT))
        flags = f"{stage_3(place)} --INITIAL_MODEL_PATH {where.fine_tuned(1)}"
        return run_stage("train_adapler", train_adapler, flags)


def rows_of(run: Run, split: str) -> tuple[list[list[int]], np.ndarray]:
    """Token ids and labels of a split's rows, in the order of the file."""
    folder = run.arguments.data_dir / run.arguments.task
    rows = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
    tokenizer = BertTokenizerFast.from_pretrained(run.backbone)
    return [tokenizer(row["sentence"])["input_ids"] for row in rows], np.array([row["label"] for row in rows])


def visited(steps, run: Run) -> list[int]:
    """The rows that the steps visited, in order."""
    tokens, _ = rows_of(run, "train")
    batches = [zip(s.inputs["input_ids"], s.inputs["attention_mask"], strict=True) for s in steps]
    return [tokens.index(ids[mask == 1].tolist()) for batch in batches for ids, mask in batch]


def forward(model, ids: list[int], **options):
    """A model's outputs for one example, without padding."""
    return model({"input_ids": tf.constant([ids]), "attention_mask": tf.ones([1, len(ids)], tf.int32)}, **options)


# stage 1


def test_fine_tuning_takes_the_steps_of_the_method(fine_tuned):
    reference = ReferenceAdam(RATE, WARMUP, STEPS, 1e-8, 0.01)
    assert len(fine_tuned.steps) == STEPS
    for number, step in enumerate(fine_tuned.steps):
        gradients = plain_gradients(
            fine_tuned.model, step, lambda labels, logits: cross_entropy(labels, logits, CLASS_WEIGHTS), 0.5
        )
        moved = assert_moves(step, reference.apply(step.before, gradients))
        assert moved > 40 if number else moved == 0  # the first rate is 0


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


def test_the_weights_of_every_epoch_are_kept_and_scored_on_all_of_dev(fine_tuned):
    model, where = fine_tuned.model, fine_tuned.run.paths
    tokens, labels = rows_of(fine_tuned.run, "validation")
    entries = [json.loads(line) for line in (fine_tuned.run.folder / "scores.jsonl").read_text().splitlines()]
    for epoch, entry in enumerate(entries, start=1):
        model.load_weights(str(where.fine_tuned(epoch)))
        for name, weights in weights_of(model).items():
            assert np.array_equal(weights, fine_tuned.steps[3 * epoch - 1].after[name])
        answers = [forward(model, ids).logits.numpy().argmax() for ids in tokens]
        assert entry["epoch"] == epoch and entry["validation"]["examples"] == 5
        assert entry["validation"]["accuracy"] == pytest.approx(np.mean(answers == labels))
        assert entry["validation"]["mean_lengths"] == pytest.approx([np.mean([len(ids) for ids in tokens])] * 4)
    best = max(entries, key=lambda entry: entry["validation"]["accuracy"])["epoch"]
    assert len(entries) == EPOCHS and fine_tuned.printed.splitlines()[-1] == str(where.fine_tuned(best))


def test_micro_batches_and_no_clipping(place):
    """--ACC_STEPS changes nothing but the memory; --CLIP_NORM 0 clips nothing."""
    record = run_stage("fine_tune", fine_tune, f"{place} {training(1)} --DATA_SEED 6 --ACC_STEPS 2 --CLIP_NORM 0")
    assert record.model.objective.acc_steps == 2
    reference = ReferenceAdam(RATE, 0, 3, 1e-8, 0.01)
    for step in record.steps:
        gradients = plain_gradients(
            record.model, step, lambda labels, logits: cross_entropy(labels, logits, CLASS_WEIGHTS), None
        )
        assert assert_moves(step, reference.apply(step.before, gradients)) > 40


def test_a_resumed_run_continues_after_the_last_finished_epoch(place, monkeypatch):
    flags = f"{place} {training(2)} --DATA_SEED 7"
    whole = run_stage("fine_tune", fine_tune, flags)
    shutil.rmtree(whole.run.paths.root)
    keep = callbacks.KeepFineTuned.keep

    def stop_at_the_second(self, epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        keep(self, epoch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(callbacks.KeepFineTuned, "keep", stop_at_the_second)
        run_stage("fine_tune", fine_tune, flags)
    resumed = run_stage("fine_tune", fine_tune, f"{flags} --RESUME")
    assert "1 of 2 epochs are finished" in resumed.printed and len(resumed.steps) == 3
    for step, expected in zip(resumed.steps, whole.steps[3:], strict=True):
        assert np.array_equal(step.inputs["input_ids"], expected.inputs["input_ids"])
        for name, weights in step.after.items():
            assert_close(weights, expected.after[name], 1e-5 * np.abs(weights).max(), name)


# stage 2


def test_saliencies_come_from_the_three_best_epochs(stored):
    where = stored.run.paths
    files = sorted(file.name for file in where.saliencies("train").glob("*.npy"))
    assert files == [f"sal_mat_wCLSSEPnoZ_{epoch}.npy" for epoch in (2, 3, 4)]
    model = TFAdapLeRForSequenceClassification.from_pretrained(stored.run.backbone)
    tokens, labels = rows_of(stored.run, "train")
    for epoch in (2, 3, 4):
        model.load_weights(str(where.fine_tuned(epoch)))
        matrix = np.load(where.saliency_matrix("train", epoch))
        with np.load(where.saliency_rows("train", epoch)) as columns:
            rows = columns["row_ids"].tolist()
        assert matrix.shape == (11, 16) and sorted(rows) == list(range(11))
        for row in (0, 4, 10):
            expected = saliency(model, tokens[row], labels[row])
            stored_row = matrix[rows.index(row)]
            assert_close(stored_row[: len(expected)], expected, 1e-4 * expected.max(), f"epoch {epoch}, row {row}")
            assert not stored_row[len(expected) :].any()


def saliency(model, ids: list[int], label: int) -> np.ndarray:
    """|| gradient of the gold logit with respect to the embeddings * embeddings ||, for one example."""
    embedded = model.bert.embeddings(tf.constant([ids]), None, tf.zeros([1, len(ids)], tf.int32))
    with tf.GradientTape() as tape:
        tape.watch(embedded)
        hidden = embedded
        for layer in model.bert.encoder.layer:
            hidden = layer(hidden, tf.zeros([1, 1, 1, len(ids)]), None, None, None, None, False)[0]
        gold = model.classifier(model.bert.pooler(hidden))[0, label]
    return np.linalg.norm((tape.gradient(gold, embedded) * embedded).numpy()[0], axis=-1)


# stage 3


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
    assert trained.printed.splitlines()[-1] == str(where.adapler(name))
    for file, epoch in ((where.adapler(name), 2), (where.adapler_last(name), 4)):
        model = TFAdapLeRForSequenceClassification.from_pretrained(file.with_suffix(""))
        for variable, weights in weights_of(model).items():
            assert np.array_equal(weights, trained.steps[3 * epoch - 1].after[variable])


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


# stage 4


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


# FLOPs of the tiny backbone by hand: 12 wide, 3 heads, 20 wide inside; a LayerNorm costs 8 per element and 2 more
HEAD_FLOPS = 2 * 12 * 12 + 12 + (2 * 12 + 1) * 2


def embedding_flops(n: np.ndarray) -> np.ndarray:
    return (8 * 12 + 2) * n + 2 * n


def layer_flops(n: np.ndarray) -> np.ndarray:
    dense = 4 * (2 * 12 * 12 + 12) * n + (2 * 12 * 20 + 20) * n + (2 * 20 * 12 + 12) * n
    attention = 2 * (2 * 12 * n**2) + 7 * 3 * n**2
    return dense + attention + 3 * 20 * n + 2 * (8 * 12 + 2) * n


def predictor_flops(n: np.ndarray) -> np.ndarray:
    return (2 * 12 * 32 + 32) * n + 3 * 32 * n + (2 * 32 + 1) * n + 13 * n


def speedup_by_hand(lengths: np.ndarray) -> float:
    """BERT's FLOPs over AdapLeR's, of the lengths of the input and of each layer, [N, 4]."""
    plain = embedding_flops(lengths[:, 0]) + 3 * layer_flops(lengths[:, 0]) + HEAD_FLOPS
    reduced = embedding_flops(lengths[:, 0]) + 4 * lengths[:, 0] + HEAD_FLOPS
    for layer in range(3):
        reduced += predictor_flops(lengths[:, layer]) + layer_flops(lengths[:, layer + 1])
    return plain.sum() / reduced.sum()


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
