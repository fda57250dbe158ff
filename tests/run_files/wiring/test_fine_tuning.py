"""What stages 1 and 2 compute, step by step, against the method's description."""

import json
import shutil

import numpy as np
import pytest

from models import TFAdapLeRForSequenceClassification
from run_files.run_classification_bert import fine_tune
from tests.compare import assert_close
from tests.run_files.wiring.tiny_run import (
    CLASS_WEIGHTS,
    EPOCHS,
    RATE,
    STEPS,
    WARMUP,
    forward,
    rows_of,
    saliency,
    training,
)
from tests.stages import (
    ReferenceAdam,
    assert_moves,
    cross_entropy,
    plain_gradients,
    run_stage,
    weights_of,
)
from tools.runtime.checkpoints import load_tokenizer, saved_max_length
from tools.training import callbacks


def test_fine_tuning_takes_the_steps_of_the_method(fine_tuned):
    reference = ReferenceAdam(RATE, WARMUP, STEPS, 1e-8, 0.01)
    assert len(fine_tuned.steps) == STEPS
    for number, step in enumerate(fine_tuned.steps):
        gradients = plain_gradients(
            fine_tuned.model, step, lambda labels, logits: cross_entropy(labels, logits, CLASS_WEIGHTS), 0.5
        )
        moved = assert_moves(step, reference.apply(step.before, gradients))
        assert moved > 40 if number else moved == 0  # the first rate is 0


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
    assert [file for file in where.models.glob("bert_*") if file.is_dir()] == [where.fine_tuned(best).with_suffix("")]
    saved = TFAdapLeRForSequenceClassification.from_pretrained(where.fine_tuned(best).with_suffix(""))
    for name, weights in weights_of(saved).items():
        assert np.array_equal(weights, fine_tuned.steps[3 * best - 1].after[name])
    assert not saved.is_adapler and saved_max_length(where.fine_tuned(best).with_suffix("")) == 16
    assert load_tokenizer(saved.name_or_path).tokenize("a") == ["a"]


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
