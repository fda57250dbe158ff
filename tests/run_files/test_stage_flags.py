"""Flags of the stages that change where, on which rows or with which arithmetic they run; regression and GLUE files."""

import json
import re
import signal

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from transformers import BertTokenizerFast

from run_files import run_classification_evaluation
from run_files.run_classification_bert import fine_tune
from run_files.run_classification_evaluation import evaluate
from run_files.run_classification_w_lr import train_adapler
from run_files.run_glue_prediction import predict_glue
from tests.compare import assert_close
from tests.machine import needs_bfloat16
from tests.stages import (
    Record,
    ReferenceAdam,
    assert_moves,
    eager,
    plain_gradients,
    record_steps,
    run_stage,
    write_random_backbone,
    write_task,
)
from tools.common import paths
from tools.data.loading import load_examples
from tools.data.tasks import TABLE
from tools.evaluation import trim_speed
from tools.runtime import stage
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES
from tools.runtime.checkpoints import load_backbone, load_tokenizer, save_weights, saved_eta_scale, set_eta_scale
from tools.runtime.forward_flags import accepted_flags
from tools.store_saliencies import store_saliencies
from tools.training import callbacks, target

ROWS = {"train": 11, "validation": 5, "test": 5}
TRAINING = "--EPOCHS 1 --LEARNING_RATE 0.01 --WARMUP_RATIO 0"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Makes the flags of a tiny task: (name, columns of text, number -> label) -> flags."""
    root = tmp_path_factory.mktemp("flags")
    backbone = write_random_backbone(root / "tiny_flags")

    def flags(name: str, columns=("sentence",), label=int) -> str:
        if not (root / name).exists():
            write_task(root, ROWS, name, columns, label)
        return f"--TASK {name} --DATA_SEED 5 --BACKBONE {backbone} --DATA_DIR {root} --MAX_LENGTH 16 --BATCH_SIZE 4"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "DIRECTORY", root / "directory")
        yield flags


def as_a_program(name: str, work, flags: str) -> Record:
    """Runs a stage with all that a program does around it."""
    record, handlers = Record(), {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch, eager():
        record_steps(patch, record)
        try:
            stage.run_stage(name, parse(STAGES[name], "", flags.split()), work)
        finally:
            keras.mixed_precision.set_global_policy("float32")
            keras.backend.experimental.disable_tf_random_generator()  # as other tests in this process expect it
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return record


def test_a_missing_gpu_is_refused(place, capsys):
    flags = f"{place('sst2')} {TRAINING} --GPU 99"
    with pytest.raises(SystemExit) as exit_:
        as_a_program("fine_tune", fine_tune, flags)
    (line,) = capsys.readouterr().err.strip().splitlines()
    gpus = len(tf.config.list_physical_devices("GPU"))
    assert exit_.value.code == 2 and line.startswith(f"error: --GPU 99: this machine has {gpus} GPUs")
    assert not paths.TaskPaths("tiny_flags", 5, "sst2").root.exists()


@needs_bfloat16
def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights(place):
    record = as_a_program("fine_tune", fine_tune, f"{place('sst2')} {TRAINING} --MIXED_PRECISION")
    layer = record.model.bert.encoder.layer[0].attention.self_attention.query
    assert layer.compute_dtype == "bfloat16" and layer.kernel.dtype == tf.float32
    first = record.steps[0]
    assert len(record.steps) == 3 and not np.array_equal(first.before[QUERY], first.after[QUERY])
    with record_of(place, "run.json").open() as file:
        assert json.load(file)["settings"]["mixed_precision"] is True
    (entry,) = [json.loads(line) for line in record_of(place, "scores.jsonl").read_text().splitlines()]
    assert np.isfinite(entry["train"]["loss"])


def test_batches_of_similar_length_differ_between_epochs(place):
    flags = f"{place('sst2')} {TRAINING} --EPOCHS 2 --BATCH_SIZE 2 --GROUP_BY_LENGTH"
    record = run_stage("fine_tune", fine_tune, flags)
    run, steps = record.run, [step.inputs["input_ids"].tolist() for step in record.steps]
    examples = load_examples(run.task, "train", load_tokenizer(run.backbone), run.max_length, run.data_options)
    batches = examples.shuffled(run.seed).reshuffled_batches(2, run.seed, by_length=True)
    epochs = [[inputs["input_ids"].numpy().tolist() for inputs, _ in batches] for _ in range(2)]
    assert sorted(steps[:6]) == sorted(epochs[0]) and sorted(steps[6:]) == sorted(epochs[1])
    assert sorted(epochs[0]) != sorted(epochs[1])


@needs_bfloat16
def test_a_model_that_was_trained_in_bfloat16_is_trimmed_and_scored_in_float32(place, monkeypatch):
    flags = f"{place('wnli', ('sentence1', 'sentence2'))} --MIXED_PRECISION"
    as_a_program("fine_tune", fine_tune, f"{flags} {TRAINING}")
    as_a_program("store_saliencies", store_saliencies, flags)
    dtypes, trim = [], target.trim

    def noted(model, *arguments):
        dtypes.append(model.bert.encoder.layer[0].attention.self_attention.query.compute_dtype)
        return trim(model, *arguments)

    monkeypatch.setattr(target, "trim", noted)
    record = as_a_program("train_adapler", train_adapler, f"{flags} {TRAINING} --TARGET_SPEEDUP 1.2")
    layer = record.model.bert.encoder.layer[0].attention.self_attention.query
    assert layer.compute_dtype == "bfloat16" and dtypes == ["float32"]
    for name in ("evaluate", "summarize", "choose_eta_scale"):
        assert accepted_flags(name, ["--MIXED_PRECISION"]) == []


def test_a_run_that_is_killed_while_it_is_trimmed_goes_on(place, monkeypatch, capsys):
    """It is not taken for a finished one; once it is trimmed, another --RESUME changes nothing."""
    flags = place("qqp", ("question1", "question2"))
    as_a_program("fine_tune", fine_tune, f"{flags} {TRAINING}")
    as_a_program("store_saliencies", store_saliencies, flags)
    flags += f" {TRAINING} --TARGET_SPEEDUP 1.2"

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, SystemExit)):
        patch.setattr(target, "trim", kill)
        as_a_program("train_adapler", train_adapler, flags)
    with pytest.raises(SystemExit, match="2"):
        as_a_program("train_adapler", train_adapler, flags)
    assert "interrupted run; add --RESUME" in capsys.readouterr().err
    where = paths.TaskPaths("tiny_flags", 5, "qqp")
    directory, log = where.adapler("run_TARGET1.2").with_suffix(""), where.adapler_log("run_TARGET1.2")
    assert not as_a_program("train_adapler", train_adapler, f"{flags} --RESUME").steps
    trimmed = log.read_text()
    assert "trimmed_by" in trimmed
    set_eta_scale(directory, 1.35)
    monkeypatch.setattr(target, "trim", kill)
    as_a_program("train_adapler", train_adapler, f"{flags} --RESUME")
    assert log.read_text() == trimmed and saved_eta_scale(directory) == 1.35


def test_evaluation_has_a_batch_size_of_its_own(place, monkeypatch):
    """In stage 1, in stage 3 with its end, and in stage 4."""
    flags, sizes, predict = f"{place('cola')} --EVAL_BATCH_SIZE 3", {}, callbacks.predict
    for module in (callbacks, target, trim_speed, run_classification_evaluation):

        def noted(model, examples, batch_size, *more, name=module.__name__, **named):
            sizes.setdefault(name, set()).add(batch_size)
            return predict(model, examples, batch_size, *more, **named)

        monkeypatch.setattr(module, "predict", noted)
    record = as_a_program("fine_tune", fine_tune, f"{flags} {TRAINING}")
    assert sizes == {callbacks.__name__: {3}} and {len(step.targets["labels"]) for step in record.steps} == {4, 3}
    as_a_program("store_saliencies", store_saliencies, place("cola"))
    as_a_program("train_adapler", train_adapler, f"{flags} {TRAINING} --TARGET_SPEEDUP 1.2")
    weights = paths.TaskPaths("tiny_flags", 5, "cola").fine_tuned(1)
    as_a_program("evaluate", evaluate, f"{flags} --MODEL_PATH {weights} --SPLIT validation")
    assert list(sizes.values()) == [{3}] * 4


@pytest.mark.parametrize(("epochs", "kept", "needed"), [(4, 2, 3), (2, 1, 2)])
def test_keep_best_is_refused_if_stage_2_needs_more(place, capsys, epochs, kept, needed):
    flags = f"{place('sst2')} --EPOCHS {epochs} --LEARNING_RATE 0.01 --KEEP_BEST {kept}"
    with pytest.raises(SystemExit, match="2"):
        as_a_program("fine_tune", fine_tune, flags)
    assert f"--KEEP_BEST {kept}: stage 2 needs the {needed} best epochs" in capsys.readouterr().err


def test_keep_best_keeps_the_weights_of_so_many_epochs(place):
    flags = place("qnli", ("question", "sentence"))
    as_a_program("fine_tune", fine_tune, f"{flags} --EPOCHS 4 --LEARNING_RATE 0.01 --KEEP_BEST 3")
    assert len(paths.TaskPaths("tiny_flags", 5, "qnli").all_fine_tuned) == 3


QUERY = "bert/encoder/layer_._0/attention/self/query/kernel:0"


def record_of(place, name: str):
    return paths.TaskPaths("tiny_flags", 5, "sst2").run_folder("fine_tune") / name


def test_held_out_rows_are_scored_and_not_trained_on(place):
    flags = f"{place('cola')} --HOLD_OUT 3"
    record = run_stage("fine_tune", fine_tune, f"{flags} {TRAINING}")
    where = record.run.paths
    run_stage("evaluate", evaluate, f"{flags} --MODEL_PATH {where.fine_tuned(1)}")
    folder = record.run.arguments.data_dir / "cola"
    rows = {s: [json.loads(line) for line in (folder / f"{s}.jsonl").read_text().splitlines()] for s in ROWS}
    tokenizer = BertTokenizerFast.from_pretrained(record.run.backbone)
    tokens = [tokenizer(row["sentence"])["input_ids"] for row in rows["train"]]
    batches = [zip(step.inputs["input_ids"], step.inputs["attention_mask"], strict=True) for step in record.steps]
    trained_on = [tokens.index(ids[mask == 1].tolist()) for batch in batches for ids, mask in batch]
    with np.load(where.flops_per_example(where.fine_tuned(1), "validation")) as stored:
        held_out, labels = stored["row_ids"].tolist(), stored["labels"].tolist()
    assert sorted(trained_on + held_out) == list(range(11)) and len(held_out) == 3
    assert labels == [rows["train"][row]["label"] for row in held_out]
    with np.load(where.flops_per_example(where.fine_tuned(1), "test")) as stored:
        assert stored["row_ids"].tolist() == list(range(5))
        assert stored["labels"].tolist() == [row["label"] for row in rows["validation"]]


@pytest.fixture(scope="module")
def regression(place) -> tuple[str, Record]:
    """The flags of a tiny regression, and its stage 1."""
    flags = place("stsb", ("sentence1", "sentence2"), lambda number: 4.5 if number else 0.5)
    return flags, run_stage("fine_tune", fine_tune, f"{flags} {TRAINING} --CLIP_NORM 0")


def test_a_regression_descends_the_squared_error(regression):
    _, record = regression
    assert record.model.config.num_labels == 1
    assert set(np.concatenate([step.targets["labels"] for step in record.steps])) == {0.5, 4.5}
    reference = ReferenceAdam(0.01, 0, 3, 1e-8, 0.01)

    def squared_error(labels, values):
        return tf.add_n([(values[row, 0] - label) ** 2 for row, label in enumerate(labels)]) / len(labels)

    for step in record.steps:
        gradients = plain_gradients(record.model, step, squared_error, None)
        assert assert_moves(step, reference.apply(step.before, gradients)) > 40


def test_a_regression_trains_towards_a_target_from_the_fine_tuned_values(regression):
    flags, fine_tuned = regression
    run_stage("store_saliencies", store_saliencies, flags)
    record = run_stage("train_adapler", train_adapler, f"{flags} {TRAINING} --TARGET_SPEEDUP 1.2 --ACC_STEPS 2")
    fine_tuned.model.load_weights(str(record.run.paths.fine_tuned(1)))
    for step in record.steps:
        values = fine_tuned.model(step.inputs).logits.numpy()
        assert_close(step.targets["teacher_logits"], values, 1e-4 * np.abs(values).max())
    assert re.search(r"\n\d\.\d\dx of 1\.2x asked; spearman -?\d\.\d{4}, fine-tuned", record.printed)


def test_a_submission_has_the_servers_labels(place):
    flags = place("rte", ("sentence1", "sentence2"))
    record = run_stage("glue_prediction", lambda run: None, f"{flags} --MODEL_PATH none.h5")
    run = record.run
    model = load_backbone(run.backbone, TABLE["rte"], 16)
    tokenizer = BertTokenizerFast.from_pretrained(run.backbone)
    lines = (run.arguments.data_dir / "rte" / "test.jsonl").read_text().splitlines()
    pairs = [(row["sentence1"], row["sentence2"]) for row in map(json.loads, lines)]
    encoded = [tokenizer(*pair, return_tensors="tf") for pair in pairs]
    margins = np.array([logits[1] - logits[0] for logits in (model(inputs).logits.numpy()[0] for inputs in encoded)])
    middle = np.sort(margins)[1:3].mean()  # two rows below it, three above
    model.classifier.bias.assign_sub([0.0, middle])
    weights = run.paths.fine_tuned(1)
    weights.parent.mkdir(parents=True)
    save_weights(model, weights)
    run_stage("glue_prediction", predict_glue, f"{flags} --MODEL_PATH {weights} --SUBMISSION")
    expected = [("entailment", "not_entailment")[int(margin > middle)] for margin in margins]
    submitted = (run.paths.glue_submission / "RTE.tsv").read_text().splitlines()
    assert submitted == ["index\tprediction", *(f"{row}\t{label}" for row, label in enumerate(expected))]
    published = run.paths.glue_prediction(weights, "test").read_text().splitlines()
    assert published[1:] == [f"{row}\t{int(margin > middle)}" for row, margin in enumerate(margins)]
    assert len(set(expected)) == 2
