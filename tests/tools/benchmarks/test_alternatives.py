"""AdapLeR beside smaller plain models: how these are made and trained, and what the comparison holds."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import tensorflow as tf
from transformers import AutoConfig

from tests import tiny
from tests.compare import assert_close
from tests.machine import BFLOAT16_ABORTS, REASON
from tests.noted_commands import noted_commands, stage_names
from tests.tiny_task import write_backbone, write_sst2
from tools.benchmarks import alternatives as program
from tools.benchmarks import first_answer
from tools.benchmarks.arguments import AlternativesArguments
from tools.benchmarks.contenders import adapler_contenders, why_left_out
from tools.benchmarks.onnx_models import onnx_run, onnx_session, write_padded
from tools.common.atomic_files import file_checksum, write_json
from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.data.examples import Examples
from tools.data.tasks import TABLE
from tools.evaluation import intervals
from tools.flops import bert_flops
from tools.results import alternatives as results
from tools.results.write_pages import measured
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES, HeldOutTaskArguments, RowArguments
from tools.runtime.checkpoints import load_backbone, save_weights
from tools.runtime.run import Run
from tools.training import plan_alternatives
from tools.training.cut_layers import cut
from tools.training.extend_positions import load_plain_bert
from tools.training.plan_alternatives import first_tokens

NAME = "tiny_alternatives"


@pytest.mark.parametrize("speedup", [1.5, 2, 3])
def test_first_tokens_are_the_most_that_reach_the_speedup(speedup):
    config, lengths = tiny.config(), np.array([12, 3, 9, 16, 7])

    def reached(tokens: int) -> float:
        return bert_flops(config, lengths).sum() / bert_flops(config, np.minimum(lengths, tokens)).sum()

    tokens = first_tokens(config, lengths, speedup)
    assert reached(tokens) >= speedup > reached(tokens + 1)
    assert first_tokens(config, lengths, 1000) == 3


def test_a_cut_backbone_has_the_first_layers(tmp_path):
    backbone = write_backbone(tmp_path / "whole")
    cut(str(backbone), 2, tmp_path / "cut")
    assert AutoConfig.from_pretrained(tmp_path / "cut").num_hidden_layers == 2
    inputs = {name: tf.constant(values % 15) for name, values in tiny.inputs().items()}
    whole = load_plain_bert(str(backbone))(inputs, output_hidden_states=True).hidden_states
    assert_close(load_plain_bert(str(tmp_path / "cut"))(inputs).last_hidden_state, whole[2], 1e-6)
    with pytest.raises(UserError, match="has 3 layers"):
        cut(str(backbone), 3, tmp_path / "none")


def test_a_padded_graph_is_plain_bert(tmp_path):
    model, inputs = tiny.make_model(converted=False), tiny.inputs()
    files = write_padded(model, tmp_path)
    expected = model({name: tf.constant(values) for name, values in inputs.items()}).logits
    (logits,) = onnx_run(onnx_session(files["float32"]))(inputs)
    assert_close(logits, expected, 1e-5)
    (int8,) = onnx_run(onnx_session(files["int8"]))(inputs)
    assert 0 < np.abs(int8 - expected).max() < 0.5
    operators = {node.op_type for node in onnx.load(files["int8"]).graph.node}
    assert {"MatMulInteger", "DynamicQuantizeLinear"} <= operators


@pytest.fixture(scope="module")
def flags(saved_model, tmp_path_factory):
    data = write_sst2(tmp_path_factory.mktemp("alternatives") / "data")
    backbone = f"--BACKBONE {saved_model.parent / 'backbone'} --BACKBONE_NAME {NAME}"
    return f"{backbone} --DATA_DIR {data} --MAX_LENGTH 9 --HOLD_OUT 10"


def write_fine_tuned(backbone: str, task, max_length: int, paths: TaskPaths) -> None:
    """What stage 1 leaves."""
    save_weights(load_backbone(backbone, task, max_length), paths.fine_tuned(1))
    write_json(paths.fine_tuning_log, [{"validation": {"accuracy": 0.5}}])
    write_record(paths)


def write_record(paths: TaskPaths, exit_state: str = "finished", **settings) -> None:
    """The run.json of stage 1, with these settings changed."""
    settings = {"epochs": 5, "learning_rate": 5e-5, "hold_out": 10, "max_train_examples": None, **settings}
    write_json(paths.run_folder("fine_tune") / "run.json", {"settings": settings, "exit": exit_state})


@pytest.fixture(scope="module")
def compared(saved_model, flags, tmp_path_factory):
    """The result of a comparison on a tiny task with untrained models, and the name of one that was not finished."""
    if BFLOAT16_ABORTS:
        pytest.skip(REASON)
    directory = shutil.copytree(saved_model, TaskPaths(NAME, 3, "sst2").adaptive_models / "run_TARGET2.0_lr")
    file = tmp_path_factory.mktemp("result") / "result.json"
    given = f"--TASK sst2 {flags} --MODEL_PATH {directory} --SCALES 0.5 --TIMED_TEXTS 12 --SAVE {file}"
    arguments = parse([AlternativesArguments, HeldOutTaskArguments, RowArguments], "", given.split())
    this_run = Run.of("alternatives", arguments)
    write_fine_tuned(this_run.backbone, this_run.task, 9, this_run.paths)
    *trained, missing = plan_alternatives.alternatives(this_run)
    write_fine_tuned(missing.backbone, this_run.task, missing.max_length, missing.paths)
    write_record(missing.paths, "SystemExit: 143")
    for alternative in trained:
        if alternative.method == "first layers":
            cut(this_run.backbone, 2, Path(alternative.backbone))
        write_fine_tuned(alternative.backbone, this_run.task, alternative.max_length, alternative.paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "RESAMPLES", 50)
        patch.setattr(program, "ROUNDS", 1)
        patch.setattr(program, "measure", lambda *_: {"startup_seconds": 0.5, "memory_mb": 100.0})
        program.benchmark(arguments)
    return json.loads(file.read_text()), missing.paths.name


def test_every_alternative_is_scored_and_timed(compared):
    result, missing = compared
    assert (result["kind"], result["backbone"], result["seed"]) == ("alternatives", NAME, 3)
    assert result["examples"] == {"validation": 10, "test": 21}
    assert result["settings"]["not_trained"] == {missing: "its training did not finish: SystemExit: 143"}
    weights = TaskPaths(NAME, 3, "sst2").adaptive_models / result["model"] / "tf_model.h5"
    assert result["model"] == "run_TARGET2.0_lr" and result["weights"] == file_checksum(weights)
    points = result["points"]
    assert points[0]["method"] == "BERT" and (points[0]["difference"], points[0]["flops_speedup"]) == (0, 1)
    methods = {(point["method"], point["setting"]) for point in points}
    assert {("BERT", ""), ("AdapLeR", ""), ("AdapLeR", "eta_scale 0.5"), ("first layers", "2 layers")} <= methods
    assert any(method == "first tokens" for method, _ in methods)
    plains = {(point["engine"], point["precision"]): point for point in points if point["method"] == "BERT"}
    for point in points:
        assert point["low"] <= point["difference"] <= point["high"]
        assert point["score"] == pytest.approx(points[0]["score"] + point["difference"])
        assert point["milliseconds"].keys() == point["texts_per_second"].keys() == {"1", "8", "32"}
        assert all(0 < values["p50"] <= values["p99"] for values in point["milliseconds"].values())
        for size, gain in point["gains"].items():  # one round
            plain = plains[point["engine"], point["precision"]]
            assert gain["lowest"] == gain["median"] == gain["highest"]
            assert gain["median"] == pytest.approx(point["texts_per_second"][size] / plain["texts_per_second"][size])
        assert point["file_mb"] > 0 and (point["flops_speedup"] > 1 or point["method"] == "BERT")
    assert {point["tokens"] for point in result["fixed_lengths"]} == {9}
    assert {point["batch"] for point in result["fixed_lengths"]} == {1, 8, 32}


def test_onnx_runtime_agrees_with_lr_mode_on_dev(compared):
    agreement = compared[0]["agreement"]
    assert agreement["float32"]["labels"] == agreement["float32"]["lengths"] == 1
    assert agreement["float32"]["largest_logit_difference"] < 1e-4
    assert 0 <= agreement["int8"]["labels"] <= 1 and agreement["int8"]["low"] <= agreement["int8"]["high"]


def test_values_of_a_regression_agree_within_a_stated_difference():
    dev = SimpleNamespace(labels=np.arange(4.0))
    lengths, values = np.ones((4, 3)), np.array([[0.1], [1.2], [2.0], [3.1]])
    adapler = [SimpleNamespace(predict=lambda *_, d=d: (values + d, lengths, None)) for d in (0, 0.001, 0.02)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "RESAMPLES", 5)
        found = program.agreement(
            SimpleNamespace(task=TABLE["stsb"], arguments=SimpleNamespace(batch_size=4)), adapler, dev
        )
    assert found["float32"]["labels"] == 0  # values that differ by 0.001 are other answers in float32
    assert found["int8"]["labels"] == 1  # and those that differ by 0.02 the same in int8


@pytest.mark.parametrize(
    ("exit_state", "settings", "reason"),
    [
        ("finished", {}, None),
        ("running", {}, "its training did not finish: running"),
        ("finished", {"epochs": 2}, "it was trained with --EPOCHS 2, the compared run with 5"),
        ("finished", {"learning_rate": 1e-4}, "--LEARNING_RATE 0.0001, the compared run with 5e-05"),
        ("finished", {"hold_out": None}, "--HOLD_OUT None, the compared run with 10"),
        ("finished", {"max_train_examples": 30}, "--MAX_TRAIN_EXAMPLES 30, the compared run with None"),
    ],
)
def test_an_alternative_that_was_trained_otherwise_is_left_out(tmp_path, exit_state, settings, reason):
    run, alternative = (SimpleNamespace(paths=TaskPaths(name, 1, "sst2", tmp_path / name)) for name in ("run", "other"))
    assert why_left_out(run, alternative) == "it was not trained"
    write_record(alternative.paths, exit_state, **settings)
    if exit_state == "finished":
        assert "the compared run has no run.json" in why_left_out(run, alternative)
    write_record(run.paths)
    found = why_left_out(run, alternative)
    assert found is None if reason is None else reason in found


def test_a_task_of_windows_is_refused(saved_model):
    given = f"--TASK movie_rationales --BACKBONE {saved_model.parent / 'backbone'} --MODEL_PATH {saved_model}"
    arguments = parse([AlternativesArguments, HeldOutTaskArguments, RowArguments], "", given.split())
    with pytest.raises(UserError, match="--TASK movie_rationales cannot be compared"):
        program.benchmark(arguments)
    with pytest.raises(UserError, match="--TASK movie_rationales cannot be compared"):
        plan_alternatives.plan_alternatives(Run.of("alternatives", arguments))


def test_a_batch_that_is_not_full_counts_as_many_texts_as_it_has():
    seconds, texts = np.array([[0.32, 0.2], [0.64, 0.4]]), np.array([32, 4])
    values = program.latencies({32: (seconds, texts)})
    assert values["texts_per_second"]["32"] == pytest.approx(36 / 0.78)
    assert values["milliseconds"]["32"]["p50"] == pytest.approx(35)  # of 10, 20, 50 and 100


def test_every_timed_text_is_in_a_batch(monkeypatch):
    ids = tf.ragged.constant([[2, 3]] * 11)
    examples = Examples(np.arange(11), ids, tf.zeros_like(ids), np.zeros(11, np.int32), pad_id=0)
    contender = SimpleNamespace(name="model", max_length=None, run=None)
    monkeypatch.setattr(program, "time_interleaved", lambda *_: {})
    for count, sizes in ((3, [3]), (9, [4, 4, 1]), (20, [4, 4, 3])):
        assert program.time_batches([contender], lambda *_: examples, 4, count)[1].tolist() == sizes


def test_strung_together_texts_fill_every_position():
    ids = tf.ragged.constant([[2, 5, 6, 3], [2, 7, 3]])
    dev = Examples(np.arange(2), ids, tf.zeros_like(ids), np.zeros(2, np.int32), pad_id=0)
    inputs = program.strung_together(dev, 2, 5)
    assert inputs["input_ids"].numpy().tolist() == [[2, 6, 7, 5, 3], [2, 5, 6, 7, 3]]
    assert inputs["attention_mask"].numpy().all() and not inputs["token_type_ids"].numpy().any()


def test_the_dial_is_faster_the_further_it_is_turned(compared):
    dial = compared[0]["dial"]
    assert [point["eta_scale"] for point in dial] == [0.5, 0.75, 1.0, 1.25, 1.5]
    speedups = [point["flops_speedup"] for point in dial]
    assert speedups == sorted(speedups) and speedups[0] < speedups[-1]


def test_one_command_trains_every_alternative(saved_model, flags, tmp_path):
    """The backbone's path has a blank."""
    (tmp_path / "a backbone").symlink_to(saved_model.parent / "backbone")
    flags = f"{flags} --BACKBONE '{tmp_path / 'a backbone'}' --TARGET_SPEEDUP 2 --BATCH_SIZE 8"
    command = f"run_files/train_alternatives.sh sst2 4 {flags}"
    done, commands = noted_commands(command, tmp_path, "tools.training.plan_alternatives")
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(stage_names(commands)) == {"run_classification_bert"}
    trained = [parse(STAGES["fine_tune"], "", words[1:]) for words in commands]
    names = [arguments.backbone_name.removeprefix(f"{NAME}_") for arguments in trained]
    assert names[0] == "2_layers" and AutoConfig.from_pretrained(trained[0].backbone).num_hidden_layers == 2
    assert names[1:] == [f"first_{arguments.max_length}_tokens" for arguments in trained[1:]] and len(names) >= 3
    assert {arguments.max_length for arguments in trained[1:]} < set(range(3, 9))
    assert {arguments.backbone for arguments in trained[1:]} == {str(tmp_path / "a backbone")}
    for arguments in trained:
        recipe = arguments.data_seed, arguments.epochs, arguments.batch_size, arguments.learning_rate
        assert recipe == (4, 5, 8, 5e-5) and arguments.group_by_length


def test_the_table_and_the_figure_hold_every_point(compared, tmp_path):
    result, _ = compared
    lines = results.table(result).splitlines()
    assert len(lines) == 2 + len(result["points"]) and "yes" in results.table(result)
    page = measured(result, results.tables(result))
    assert "eta_scale" in page and "21 examples" in page and "{" not in page


def test_the_figure_has_a_panel_a_batch_size_with_the_times_of_the_tables(compared, tmp_path):
    result, _ = compared
    table = results.figure_rows([result])
    kinds = ("TensorFlow", "float32"), ("ONNX Runtime", "int8")
    drawn = [point for point in result["points"] if (point["engine"], point["precision"]) in kinds]
    assert len(drawn) < len(result["points"]) and len(table) == len(drawn) * 2
    for batch, rows in table.groupby("batch"):
        assert rows["time"].tolist() == pytest.approx([1000 / point["texts_per_second"][batch] for point in drawn])
        assert rows["score"].tolist() == pytest.approx([100 * point["score"] for point in drawn])
    drawing = results.figure(table)
    drawing.savefig(tmp_path / "figure.png")
    assert [axes.get_title().rpartition(": ")[2] for axes in drawing.axes] == ["one text at a time", "batches of 32"]
    assert len({str(axes.get_ylim()) for axes in drawing.axes}) == 1


def test_the_pareto_front_has_the_points_that_no_other_beats():
    def point(time: float, score: float) -> dict:
        rates = {size: 1 / time for size in ("1", "8", "32")}
        return {"score": score, "milliseconds": {size: {"p50": time} for size in rates}, "texts_per_second": rates}

    points = [point(*values) for values in [(3.0, 0.9), (1.0, 0.7), (2.0, 0.7), (2.0, 0.8), (4.0, 0.9), (0.5, 0.6)]]
    assert results.frame({"points": points})["front"].tolist() == ["yes", "yes", "", "yes", "", "yes"]


@pytest.mark.parametrize("engine", ["TensorFlow", "ONNX Runtime"])
def test_a_start_is_timed_in_its_own_process(engine, saved_model, tmp_path):
    (tmp_path / "texts.json").write_text('["good film", "a very bad plot"]')
    contender = adapler_contenders(saved_model, [], tmp_path / "exported")[0]
    model = saved_model if engine == "TensorFlow" else contender.model
    values = first_answer.measure(engine, "float32", model, contender.tokenizer, tmp_path / "texts.json")
    assert values["startup_seconds"] > 0.1 and 20 < values["memory_mb"] < 4000


def test_a_model_that_gives_no_answer_is_no_time(saved_model, tmp_path):
    (tmp_path / "texts.json").write_text('["good film"]')
    with pytest.raises(RuntimeError, match="gave no answer"):
        first_answer.measure("ONNX Runtime", "float32", tmp_path / "none", saved_model, tmp_path / "texts.json")
