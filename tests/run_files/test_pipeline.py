"""The published commands, run as people run them, on a tiny task and a tiny backbone."""

import json
import pickle
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import transformers
from transformers import BertTokenizerFast

from models import AdapLeRPredictor, TFAdapLeRForSequenceClassification
from run_files.run_classification_evaluation import evaluate
from tests.tiny_task import NAME, run, run_here, write_backbone, write_sst2
from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.evaluation.run_summary import summary_of
from tools.results.result_files import chosen_point
from tools.results.tables import tried_table
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES
from tools.runtime.run import Run

LEARNS = "--LEARNING_RATE 0.005 --BATCH_SIZE 4 --SPEEDUP_LEARNING_RATE 0.1 --GAMMA 0.1 --PHI 0.01"
"""Settings with which the tiny backbone learns its task and drops tokens."""
MODEL = "tiny_GAMMA0.1_PHI0.01"
EPOCHS = 4


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipeline")
    return {"backbone": write_backbone(root / NAME, initializer_range=0.5), "data": write_sst2(root / "data")}


@pytest.fixture(scope="module")
def flags(place):
    return f"--BACKBONE {place['backbone']} --DATA_DIR {place['data']} --MAX_LENGTH 16"


@pytest.fixture(scope="module")
def commit():
    """The checkout's commit before the runs; None outside git."""
    git = run("git rev-parse --short HEAD")
    return git.stdout.strip() if git.returncode == 0 else None


@pytest.fixture(scope="module")
def whole_run(flags, commit):
    result = run(f"run_files/run_task.sh sst2 7 {flags} {LEARNS} --EPOCHS {EPOCHS} --SAVE_NAME tiny")
    assert result.returncode == 0, result.stderr[-3000:]
    return result, TaskPaths(NAME, 7, "sst2")


def test_run_task_leaves_what_it_should(whole_run):
    result, where = whole_run
    assert all(where.fine_tuned(epoch).exists() for epoch in range(1, EPOCHS + 1))
    log = json.loads(where.fine_tuning_log.read_text())
    assert len(log) == EPOCHS and set(log[0]) == {"validation"} and set(log[0]["validation"]) == {"accuracy"}
    best = sorted(range(1, EPOCHS + 1), key=lambda epoch: -log[epoch - 1]["validation"]["accuracy"])[:3]
    for epoch in best:
        matrix = np.load(where.saliency_matrix("train", epoch))
        assert matrix.shape == (70, 16) and matrix.dtype == np.float32
    assert where.adapler_last(MODEL).exists()
    assert "FLOPs speedup" in result.stdout and "21 of 21" in result.stdout
    assert not list(where.root.rglob("*.part*"))
    for stage in ("fine_tune", "store_saliencies", "train_adapler", "evaluate"):
        records = list((where.logs / stage).rglob("run.json"))
        assert records and all(json.loads(file.read_text())["exit"] == "finished" for file in records)
    for stage in ("fine_tune", "train_adapler"):
        (scores,) = (where.logs / stage).rglob("scores.jsonl")
        assert [json.loads(line)["epoch"] for line in scores.read_text().splitlines()] == [1, 2, 3, 4]
        assert list(scores.parent.rglob("events.out.tfevents.*")) and not (scores.parent / "backup").exists()


def test_the_tiny_run_learns_and_drops_tokens(whole_run):
    """So that what the other tests compare on it is not empty."""
    _, where = whole_run
    log = json.loads(where.fine_tuning_log.read_text())
    assert max(entry["validation"]["accuracy"] for entry in log) > 0.9
    (evaluated,) = where.logs.glob("evaluation_tiny*.json")
    validation = json.loads(evaluated.read_text())["validation"]
    assert validation["accuracy"] > 0.9
    assert validation["mean_lengths"][-1] < 0.9 * validation["mean_lengths"][0]


def test_run_json_tells_what_a_run_was(whole_run, commit):
    _, where = whole_run
    for stage, script in (("fine_tune", "run_classification_bert.py"), ("train_adapler", "run_classification_w_lr.py")):
        (file,) = (where.logs / stage).rglob("run.json")
        record = json.loads(file.read_text())
        assert record["stage"] == stage and record["argv"][0].endswith(script)
        assert parse(STAGES[stage], "", record["argv"][1:]).epochs == EPOCHS
        given = {"epochs": EPOCHS, "learning_rate": 0.005, "max_length": 16, "data_seed": 7}
        assert record["settings"].items() >= {**given, "backbone_name": NAME, "warmup_ratio": 0.06}.items()
        assert record["seed"] == 7
        assert record["commit"] in ([commit, f"{commit}+"] if commit else [None])
        libraries = {"tensorflow": tf, "numpy": np, "transformers": transformers}
        assert record["versions"].items() >= {name: library.__version__ for name, library in libraries.items()}.items()
        assert "unknown" not in record["versions"].values()
        assert record["devices"] == [device.name for device in tf.config.list_physical_devices()] != []
        start, end = (datetime.fromisoformat(record[time]).timestamp() for time in ("start", "end"))
        assert start < end <= file.stat().st_mtime and record["exit"] == "finished"


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    """TensorBoard's numbers in a run's folder by name and epoch, counted from 1."""
    return {
        (value.tag, event.step + 1): float(tf.make_ndarray(value.tensor))
        for file in folder.rglob("events.out.tfevents.*")
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
        if value.tag.startswith("epoch_")
    }


@pytest.mark.parametrize("stage, losses", [("fine_tune", {"loss"}), ("train_adapler", {"loss", "cp_loss"})])
def test_tensorboard_shows_every_epochs_losses_and_scores(whole_run, stage, losses):
    _, where = whole_run
    (file,) = (where.logs / stage).rglob("scores.jsonl")
    shown = scalars(file.parent)
    for line in file.read_text().splitlines():
        entry = json.loads(line)
        expected = {f"epoch_{name}": value for name, value in entry["train"].items()}
        assert {f"epoch_{name}" for name in losses} <= expected.keys()
        for name in ("accuracy", "speedup"):
            expected[f"epoch_validation_{name}"] = entry["validation"][name]
        assert {name: shown[name, entry["epoch"]] for name in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_a_search_scores_only_what_dev_chose(flags):
    """With real stages; tests/run_files/test_search.py has the commands and the choice."""
    given = f"{flags} --EPOCHS 1 --LEARNING_RATE 0.01 --MAX_LOSS 2 --SCALES 0.5 1"
    tries = '"--GAMMA 0.5 --PHI 0.001" "--GAMMA 0.5 --PHI 0.01 --SPEEDUP_LEARNING_RATE 0.3"'
    result = run(f"run_files/search.sh sst2 9 {tries} {given}")
    assert result.returncode == 0, result.stderr[-3000:]
    where = TaskPaths(NAME, 9, "sst2")
    models = []
    for name in ("search_1_GAMMA0.5_PHI0.001", "search_2_GAMMA0.5_PHI0.01"):
        chosen = where.adapler(name)
        models.append((chosen if chosen.exists() else where.adapler_last(name)).with_suffix(""))
    points = {model: chosen_point(json.loads(where.eta_scales(model).read_text())) for model in models}
    assert len(points) == 2 and all(point["eta_scale"] in (0.5, 1) for point in points.values())
    best = max(points, key=lambda model: points[model]["speedup"])
    compared = [line.split() for line in result.stderr.splitlines() if line.startswith("| search")]
    assert [cells[1] for cells in compared] == [model.name for model in points]
    assert [cells[1] for cells in compared if "chosen" in cells] == [best.name]
    assert {file.name for file in where.logs.glob("evaluation_search*")} == {
        where.evaluation(best, points[best]["eta_scale"]).name
    }
    summary = json.loads(where.summary.read_text())
    assert summary["adapler"]["model"] == best.name
    tried = [run["settings"]["save_name"] for run in summary["tried"]]
    assert tried == ["search_1", "search_2"] and all(run["eta_scales"]["curve"] for run in summary["tried"])
    table = tried_table(summary)
    assert table.count("eta_scale ") == 2 and "0.3" in table


def test_summaries_make_the_table_over_seeds(whole_run):
    _, where = whole_run
    assert json.loads(where.summary.read_text())["seed"] == 7
    table = run_here("python -m tools.results.seed_means --TASK sst2")
    assert table.returncode == 0 and f"| sst2 | {NAME} | all | 7 " in " ".join(table.stdout.split())
    nothing = run_here("python -m tools.results.seed_means --TASK mrpc")
    assert nothing.returncode == 2 and "run_files/run_task.sh" in nothing.stderr


@pytest.fixture
def copied_run(whole_run, flags, tmp_path):
    """The stage of summaries in a copy of the whole run, and the model that the run's summary is of."""
    _, where = whole_run
    there = where.seen_through(shutil.copytree(where.root, tmp_path / "copy"))
    chosen = there.adaptive_models / json.loads(where.summary.read_text())["adapler"]["model"]
    given = f"--TASK sst2 --DATA_SEED 7 {flags} --MODEL_PATH {chosen}".split()
    return Run.of("summarize", parse(STAGES["summarize"], "", given)).seen_through(there.root), chosen


def test_a_summary_lists_every_model_that_was_tried(copied_run):
    run, chosen = copied_run
    there = run.paths
    log = json.loads(there.adapler_log(MODEL).read_text())
    log["settings"]["save_name"], log["settings"]["phi"] = "another", 0.3
    name = "another_GAMMA0.1_PHI0.3"
    there.adapler_log(name).write_text(json.dumps(log))
    another = there.adapler(name) if log["chosen_epoch"] else there.adapler_last(name)
    curve = {"fine_tuned": 1.0, "chosen": 1.5, "curve": [{"eta_scale": 1.5, "score": 0.9, "speedup": 4.5}]}
    there.eta_scales(another).write_text(json.dumps(curve))
    summary = summary_of(run, chosen)
    assert [tried["settings"]["save_name"] for tried in summary["tried"]] == ["another", "tiny"]
    assert summary["tried"][0]["eta_scales"] == curve and summary["tried"][1]["eta_scales"]["curve"]
    assert "4.50x" in tried_table(summary) and "0.3" in tried_table(summary)
    there.adapler_log(name).write_text(json.dumps(log | {"fine_tuning": 1}))  # of another stage 1
    assert [tried["settings"]["save_name"] for tried in summary_of(run, chosen)["tried"]] == ["tiny"]


def refused(run, model, file, change: dict, message: str) -> None:
    """Makes sure that a summary is refused while a JSON file of the run holds something else."""
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | change))
    with pytest.raises(UserError, match=message):
        summary_of(run, model)
    file.write_text(before)


def test_a_summary_is_of_what_belongs_together(copied_run):
    run, chosen = copied_run
    there, summary = run.paths, summary_of(run, chosen)
    evaluated = there.evaluation(chosen, summary["adapler"]["eta_scale"])
    zero = {"validation": summary["adapler"]["validation"] | {"accuracy": 0}}
    refused(run, chosen, evaluated, {"weights": 1}, "trained again")
    refused(run, chosen, evaluated, zero, "another evaluation")
    fine_tuned = there.evaluation(there.models / summary["bert"]["model"])
    unscored = {"validation": {"examples": 21}}
    refused(run, chosen, fine_tuned, unscored, "no score on validation; evaluate it again without --SPLIT")
    own = there.adapler_log_of(chosen)
    refused(run, chosen, own, {"fine_tuning": 1}, "stage 1 was run again since")
    refused(run, there.adapler(MODEL), own, {"chosen_epoch": None}, "is of an earlier run")
    for stage, name in (("store_saliencies", "the stage store_saliencies"), ("fine_tune", "stage 1")):
        message = rf"{name} has not run to its end \(running\); continue it.* --RESUME"
        refused(run, chosen, there.run_folder(stage) / "run.json", {"exit": "running"}, message)


def test_a_summary_knows_the_best_constant_answer(whole_run, place):
    _, where = whole_run
    validation = json.loads(where.summary.read_text())["splits"]["validation"]
    rows = [json.loads(line) for line in (place["data"] / "sst2" / "validation.jsonl").read_text().splitlines()]
    positive = sum(row["label"] for row in rows) / len(rows)
    assert validation["constant"] == pytest.approx(max(positive, 1 - positive))


def test_lr_mode_agrees_on_every_example(whole_run):
    _, where = whole_run
    evaluations = [json.loads(p.read_text()) for p in where.logs.glob("evaluation_tiny*.json")]
    (agreement,) = [e["validation"]["lr_mode"] for e in evaluations]
    assert agreement["examples"] == agreement["same_label"] == agreement["same_lengths"] == 21
    assert agreement["largest_logit_difference"] < 1e-4


def test_saved_directory_is_complete(whole_run):
    _, where = whole_run
    directory = where.adapler_last(MODEL).with_suffix("")
    model = TFAdapLeRForSequenceClassification.from_pretrained(directory)
    tokenizer = BertTokenizerFast.from_pretrained(directory)
    outputs = model(tokenizer.encode_plus("a very good film", return_tensors="tf"), lr_mode=True)
    assert outputs.logits.shape == (1, 2)
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert model.config.max_input_length == 16 and model.config.text_columns == ["sentence"]
    assert model.config.eta_scale == 1.0


def test_glue_predictions(whole_run, flags, place):
    _, where = whole_run
    weights = where.adapler_last(MODEL)
    lines = (place["data"] / "sst2" / "test.jsonl").read_text().splitlines()
    answers = AdapLeRPredictor(weights.with_suffix(""))([json.loads(line)["sentence"] for line in lines])
    numbers = [("negative", "positive").index(answer["label"]) for answer in answers]
    expected = ["index\tprediction", *(f"{index}\t{number}" for index, number in enumerate(numbers))]
    for how, path in ((run, f"{weights} --LR_MODEL"), (run_here, weights.with_suffix(""))):
        result = how(f"python ./run_files/run_glue_prediction.py --TASK sst2 --DATA_SEED 7 {flags} --MODEL_PATH {path}")
        assert result.returncode == 0, result.stderr[-3000:]
        file = Path(result.stdout.splitlines()[-1])
        assert file == where.glue_prediction(weights, "test")
        assert file.read_text().splitlines() == expected
        file.unlink()
    firsts = [json.loads(line)["sentence"].split()[0] for line in lines]
    right = [number == (first == "good") for number, first in zip(numbers, firsts, strict=True)]
    assert len(expected) == 14 and np.mean(right) > 0.9


def test_evaluation_keeps_flops_per_example(whole_run):
    _, where = whole_run
    (evaluated,) = where.logs.glob("evaluation_tiny*.json")
    file = where.flops_per_example(Path(evaluated.stem.removeprefix("evaluation_")), "validation")
    with np.load(file, allow_pickle=False) as stored:
        assert stored["lengths"].shape == (21, 4) and stored["row_ids"].tolist() == sorted(stored["row_ids"].tolist())
        speedup = stored["bert"].sum() / stored["model"].sum()
    assert json.loads(evaluated.read_text())["validation"]["speedup"] == pytest.approx(speedup)


def test_the_published_pickle_is_written_only_when_asked_for(whole_run, flags, tmp_path):
    _, where = whole_run
    assert list(where.logs.rglob("*.npz")) and not list(where.logs.rglob("*.pkl"))
    model, there = where.adapler_last(MODEL).with_suffix(""), where.seen_through(tmp_path)
    given = f"--TASK sst2 {flags} --MODEL_PATH {model} --SPLIT validation --FLOPS_PICKLE"
    evaluate(Run.of("evaluate", parse(STAGES["evaluate"], "", given.split())).seen_through(tmp_path))
    file = there.flops_per_example(model, "validation")
    with np.load(file, allow_pickle=False) as stored:
        assert pickle.loads(file.with_suffix(".pkl").read_bytes()) == stored["model"].tolist()


def test_calibration_writes_the_chosen_factor(whole_run, flags):
    _, where = whole_run
    directory = where.adapler_last(MODEL).with_suffix("")
    command = f"python -m tools.evaluation.choose_eta_scale --TASK sst2 --DATA_SEED 7 {flags} --MODEL_PATH {directory}"
    result = run_here(f"{command} --SCALES 0.5 1 2 --MAX_LOSS 2")
    assert result.returncode == 0, result.stderr[-3000:]
    curve = json.loads(where.eta_scales(directory).read_text())
    assert [point["eta_scale"] for point in curve["curve"]] == [0.5, 1, 2]
    speedups = [point["speedup"] for point in curve["curve"]]
    assert speedups == sorted(speedups)
    assert json.loads((directory / "config.json").read_text())["eta_scale"] == curve["chosen"]
    refused = run_here(f"{command.replace('--DATA_SEED 7 ', '')} --SCALES 1 --MAX_LOSS -2")  # the model tells its seed
    assert refused.returncode == 0 and "keeps its eta_scale" in refused.stdout
    assert [point["eta_scale"] for point in json.loads(where.eta_scales(directory).read_text())["curve"]] == [1]
    refused = run_here(f"{command} --SCALES 1 --MAX_EVAL_EXAMPLES 3")
    assert refused.returncode == 2 and "stage 1 was scored on other validation examples" in refused.stderr


def test_custom_labels_come_back_by_name(place, tmp_path):
    for split, rows in (("train", 40), ("validation", 9), ("test", 5)):
        lines = [f"{'good' if i % 2 else 'bad'} film,{'yes' if i % 2 else 'no'}" for i in range(rows)]
        (tmp_path / f"{split}.csv").write_text("title,kind\n" + "\n".join(lines) + "\n")
    flags = f"--TASK custom --BACKBONE {place['backbone']} --DATA_DIR {tmp_path} --MAX_LENGTH 16 --DATA_SEED 7"
    flags += " --TEXT_COLUMNS title --LABEL_COLUMN kind"
    trained = run_here(
        f"python run_files/run_classification_bert.py {flags} --EPOCHS 4 --BATCH_SIZE 4 --LEARNING_RATE 0.005"
    )
    assert trained.returncode == 0, trained.stderr[-3000:]
    weights = trained.stdout.splitlines()[-1]
    predicted = run_here(f"python run_files/run_glue_prediction.py {flags} --MODEL_PATH {weights}")
    assert predicted.returncode == 0, predicted.stderr[-3000:]
    rows = [line.split("\t") for line in Path(predicted.stdout.splitlines()[-1]).read_text().splitlines()]
    assert [row[1] for row in rows[1:]] == ["no", "yes", "no", "yes", "no"]


@pytest.mark.slow
def test_seeds_are_averaged(flags):
    result = run(f"run_files/run_seeds.sh sst2 11 12 {flags} {LEARNS} --EPOCHS 1 --MAX_LOSS 2")
    assert result.returncode == 0, result.stderr[-3000:]
    scores = []
    for seed in (11, 12):
        summary = json.loads(TaskPaths(NAME, seed, "sst2").summary.read_text())
        scores.append(summary["splits"]["validation"]["score"])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in result.stdout.splitlines() if "| sst2" in line]
    titles = next(line for line in result.stdout.splitlines() if line.startswith("| task"))
    column = [cell.strip() for cell in titles.split("|")[1:-1]].index("AdapLeR")
    (row,) = [row for row in rows if "11 12" in row]
    assert row[column] == f"{100 * np.mean(scores):.2f}"
