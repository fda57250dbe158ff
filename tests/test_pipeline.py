"""The published commands, run as people run them, on a tiny task and a tiny backbone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import BertTokenizerFast

from models import TFAdapLeRForSequenceClassification
from tests import tiny
from tools.lock import locked
from tools.paths import ROOT, TaskPaths
from tools.tasks import TABLE

WORDS = ["good", "bad", "film", "a", "very", "the", "plot", "was", "seen", "it"]
NAME = "tiny_bert"


def write_backbone(directory: Path, **config) -> Path:
    directory.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (directory / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(str(directory / "vocab.txt")).save_pretrained(directory)
    model = tiny.make_model(converted=False, vocab_size=len(words), num_labels=2, initializer_range=0.1, **config)
    model.save_pretrained(directory)
    return directory


def write_sst2(directory: Path) -> Path:
    rng = np.random.default_rng(0)
    (directory / "sst2").mkdir(parents=True)
    for split, rows in (("train", 70), ("validation", 21), ("test", 13)):
        with open(directory / "sst2" / f"{split}.jsonl", "w") as file:
            for index in range(rows):
                words = rng.choice(WORDS[2:], rng.integers(2, 9)).tolist()
                label = int(rng.integers(2))
                words.insert(0, WORDS[1 - label])
                row = {"sentence": " ".join(words), "label": -1 if split == "test" else label, "idx": index}
                file.write(json.dumps(row) + "\n")
    return directory


def run(command: str, **environment) -> subprocess.CompletedProcess:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        command,
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, **environment},
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipeline")
    return {"backbone": write_backbone(root / NAME), "data": write_sst2(root / "data")}


@pytest.fixture(scope="module")
def flags(place):
    return f"--BACKBONE {place['backbone']} --DATA_DIR {place['data']} --MAX_LENGTH 16"


@pytest.fixture(scope="module")
def whole_run(flags):
    given = f"{flags} --EPOCHS 2 --LEARNING_RATE 0.01 --SPEEDUP_LEARNING_RATE 0.1 --GAMMA 0.5 --SAVE_NAME tiny"
    result = run(f"run_files/run_task.sh sst2 7 {given}")
    assert result.returncode == 0, result.stderr[-3000:]
    return result, TaskPaths(NAME, 7, "sst2")


def test_run_task_leaves_what_it_should(whole_run):
    result, where = whole_run
    assert [where.fine_tuned(epoch).exists() for epoch in (1, 2)] == [True, True]
    log = json.loads(where.fine_tuning_log.read_text())
    assert len(log) == 2 and set(log[0]) == {"validation"} and set(log[0]["validation"]) == {"accuracy"}
    for epoch in (1, 2):
        matrix = np.load(where.saliency_matrix("train", epoch))
        assert matrix.shape == (70, 16) and matrix.dtype == np.float32
    assert where.adapler_last("tiny", 0.5, 0.0005).exists()
    assert "FLOPs speedup" in result.stdout and "lr_mode, same lengths" in result.stdout
    assert not list(where.root.rglob("*.part*"))
    for stage in ("fine_tune", "store_saliencies", "train_adapler", "evaluate"):
        records = list((where.logs / stage).rglob("run.json"))
        assert records and all(json.loads(file.read_text())["exit"] == "finished" for file in records)
    for stage in ("fine_tune", "train_adapler"):
        (scores,) = (where.logs / stage).rglob("scores.jsonl")
        assert [json.loads(line)["epoch"] for line in scores.read_text().splitlines()] == [1, 2]
        assert list(scores.parent.rglob("events.out.tfevents.*")) and not (scores.parent / "backup").exists()


def test_summaries_make_the_table_over_seeds(whole_run):
    _, where = whole_run
    assert json.loads(where.summary.read_text())["seed"] == 7
    table = run("python tools/summarize_runs.py --TASK sst2")
    assert table.returncode == 0 and f"| sst2 | {NAME} | 7 " in " ".join(table.stdout.split())
    assert run("python tools/summarize_runs.py --TASK mrpc").stdout.count("\n") == 2


def test_lr_mode_agrees_on_every_example(whole_run):
    _, where = whole_run
    evaluations = [json.loads(p.read_text()) for p in where.logs.glob("evaluation_tiny*.json")]
    (agreement,) = [e["validation"]["lr_mode"] for e in evaluations]
    assert agreement["examples"] == agreement["same_label"] == agreement["same_lengths"] == 21
    assert agreement["largest_logit_difference"] < 1e-4


def test_saved_directory_is_complete(whole_run):
    _, where = whole_run
    directory = where.adapler_last("tiny", 0.5, 0.0005).with_suffix("")
    model = TFAdapLeRForSequenceClassification.from_pretrained(directory)
    tokenizer = BertTokenizerFast.from_pretrained(directory)
    outputs = model(tokenizer.encode_plus("a very good film", return_tensors="tf"), lr_mode=True)
    assert outputs.logits.shape == (1, 2)
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert model.config.MAX_LENGTH == 16 and model.config.text_columns == ["sentence"]
    assert len(model.config.eta) == 3 and model.config.eta_scale == 1.0


def test_glue_predictions(whole_run, flags):
    _, where = whole_run
    weights = where.adapler_last("tiny", 0.5, 0.0005)
    files = []
    for path in (f"{weights} --LR_MODEL", weights.with_suffix("")):
        result = run(f"python ./run_files/run_glue_prediction.py --TASK sst2 --DATA_SEED 7 {flags} --MODEL_PATH {path}")
        assert result.returncode == 0, result.stderr[-3000:]
        files.append(Path(result.stdout.splitlines()[-1]))
    assert files[0] == files[1] == where.glue_prediction(weights, "test")
    rows = [line.split("\t") for line in files[0].read_text().splitlines()]
    assert rows[0] == ["index", "prediction"] and [int(r[0]) for r in rows[1:]] == list(range(13))
    assert {r[1] for r in rows[1:]} <= {"0", "1"}


def test_evaluation_keeps_flops_per_example(whole_run):
    _, where = whole_run
    (evaluated,) = where.logs.glob("evaluation_tiny*.json")
    file = where.flops_per_example(Path(evaluated.stem.removeprefix("evaluation_")), "validation")
    with np.load(file, allow_pickle=False) as stored:
        assert stored["lengths"].shape == (21, 4) and stored["row_ids"].tolist() == sorted(stored["row_ids"].tolist())
        speedup = stored["bert"].sum() / stored["model"].sum()
    assert json.loads(evaluated.read_text())["validation"]["speedup"] == pytest.approx(speedup)


def test_calibration_writes_the_chosen_factor(whole_run, flags):
    _, where = whole_run
    directory = where.adapler_last("tiny", 0.5, 0.0005).with_suffix("")
    command = f"python tools/calibrate.py --TASK sst2 --DATA_SEED 7 {flags} --MODEL_PATH {directory}"
    result = run(f"{command} --SCALES 0.5 1 2 --MAX_LOSS 2")
    assert result.returncode == 0, result.stderr[-3000:]
    curve = json.loads(where.eta_scales(directory).read_text())
    assert [point["eta_scale"] for point in curve["curve"]] == [0.5, 1, 2]
    speedups = [point["speedup"] for point in curve["curve"]]
    assert speedups == sorted(speedups)
    assert json.loads((directory / "config.json").read_text())["eta_scale"] == curve["chosen"]
    refused = run(f"{command} --SCALES 1 --MAX_LOSS -2")
    assert refused.returncode == 0 and "stays as it was" in refused.stdout


def test_custom_labels_come_back_by_name(place, tmp_path):
    for split, rows in (("train", 40), ("validation", 9), ("test", 5)):
        lines = [f"{'good' if i % 2 else 'bad'} film,{'yes' if i % 2 else 'no'}" for i in range(rows)]
        (tmp_path / f"{split}.csv").write_text("title,kind\n" + "\n".join(lines) + "\n")
    flags = f"--TASK custom --BACKBONE {place['backbone']} --DATA_DIR {tmp_path} --MAX_LENGTH 16 --DATA_SEED 7"
    flags += " --TEXT_COLUMNS title --LABEL_COLUMN kind"
    trained = run(f"python run_files/run_classification_bert.py {flags} --EPOCHS 1 --LEARNING_RATE 0.01")
    assert trained.returncode == 0, trained.stderr[-3000:]
    weights = trained.stdout.splitlines()[-1]
    predicted = run(f"python run_files/run_glue_prediction.py {flags} --MODEL_PATH {weights}")
    assert predicted.returncode == 0, predicted.stderr[-3000:]
    rows = [line.split("\t") for line in Path(predicted.stdout.splitlines()[-1]).read_text().splitlines()]
    assert len(rows) == 6 and {row[1] for row in rows[1:]} <= {"yes", "no"}


def test_a_second_run_in_one_directory_is_refused(flags):
    where = TaskPaths(NAME, 8, "sst2")
    with locked(where.root):
        result = run(f"python run_files/run_classification_bert.py --TASK sst2 --DATA_SEED 8 {flags}")
    assert result.returncode == 2 and f"process {os.getpid()} is running" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("wrong", ["--GAMA 0.5", "--EPOCH 3", "--SUBMISSION", "--SPLIT test", "--MODEL_PATH a.h5"])
def test_a_flag_that_no_stage_takes_is_an_error(flags, wrong):
    result = run(f"run_files/run_task.sh sst2 7 {flags} {wrong}")
    assert result.returncode != 0 and wrong.split()[0] in result.stderr.splitlines()[-1]


def test_a_wrong_flag_in_a_settings_file_is_an_error(flags, tmp_path):
    (tmp_path / "settings.sh").write_text("FINE_TUNE=(--EPOCS 3)\n")
    result = run(f"run_files/run_task.sh sst2 7 {flags}", SETTINGS=str(tmp_path / "settings.sh"))
    assert result.returncode != 0 and "--EPOCS" in result.stderr.splitlines()[-1]


def test_build_task_dirs(tmp_path):
    result = run("cd directory && ./build_task_dirs.sh bert sst2 22", ADAPLER_DIRECTORY=str(tmp_path))
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / "bert/22/sst2/models/adaptive_lr").is_dir()
    assert (tmp_path / "bert/22/sst2/data/sals/train").is_dir() and (tmp_path / "bert/22/sst2/logs").is_dir()


@pytest.mark.slow
def test_quickstart():
    """The demo's whole pipeline: BERT reaches 90 % where a bag of words stays under 75 %, AdapLeR keeps up."""
    result = run("run_files/quickstart.sh")
    assert result.returncode == 0, result.stderr[-3000:]
    where = TaskPaths("demo_bert", 22, "demo")
    best = max(entry["validation"]["accuracy"] for entry in json.loads(where.fine_tuning_log.read_text()))
    assert best >= 0.9
    assert TABLE["demo"].label_names[1] in result.stdout
