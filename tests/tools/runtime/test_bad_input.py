"""Bad input: one sentence that names what is wrong, exit code 2, and nothing damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from tests import tiny
from tests.tiny_task import NAME
from tests.tools.runtime.refusals import ADAPLER, EVALUATE, FINE_TUNE, RATES, SALIENCIES, complains
from tools.common.atomic_files import clear_leftovers, move_aside, require_free, require_replaceable
from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.data.tasks import TABLE
from tools.inference.resumable_output import ResumableOutput
from tools.runtime import checkpoints
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES
from tools.training.cut_layers import CutArguments, cut_layers
from tools.training.extend_positions import ExtendArguments, extend_positions


def test_unknown_task(stage):
    complains(stage(FINE_TUNE, TASK="sst3"), "sst3", "sst2", "imdb")


def test_no_such_data_directory(stage, tmp_path):
    complains(stage(FINE_TUNE, DATA_DIR=tmp_path / "nowhere"), "--DATA_DIR", "nowhere")


def test_no_such_data_file(stage):
    complains(stage(FINE_TUNE, TASK="mrpc"), "mrpc/train")


def test_missing_column_and_wrong_label(stage, place, tmp_path):
    for change, words in (({"label": 7}, ("row 3", "7")), ({"label": None}, ("label",))):
        data = tmp_path / "damaged"
        shutil.copytree(place["DATA_DIR"], data, dirs_exist_ok=True)
        file = data / "sst2" / "train.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        rows[3] |= change
        file.write_text("\n".join(map(json.dumps, rows)))
        complains(stage(FINE_TUNE, DATA_DIR=data), "train", *words)
    file.write_text('{"text": "a", "label": 1}\n')
    complains(stage(FINE_TUNE, DATA_DIR=data), "'sentence'", "text")


def test_too_many_positions(stage):
    complains(stage(FINE_TUNE, MAX_LENGTH=17), "MAX_LENGTH 17", "16")


def test_no_such_backbone(stage, tmp_path):
    complains(stage(FINE_TUNE, BACKBONE=tmp_path / "none", BACKBONE_NAME=NAME), "none")


def test_saliencies_before_fine_tuning(stage):
    complains(stage(SALIENCIES), "ft_logs.json", "run_classification_bert.py")


def test_adapler_before_saliencies(stage, fine_tuned):
    complains(stage(ADAPLER, *RATES), "sal_mat", "store_saliencies.py")


def test_saliencies_that_do_not_match(stage, with_saliencies):
    matrix, rows = with_saliencies.saliency_matrix("train", 1), with_saliencies.saliency_rows("train", 1)
    good = np.load(matrix)
    np.save(matrix, good[:-1])
    complains(stage(ADAPLER, *RATES), matrix.name, "store_saliencies.py")
    np.save(matrix, good)
    with np.load(rows) as stored:
        facts = dict(stored)
    np.savez(rows, **facts | {"checksums": facts["checksums"] + np.uint32(1)})
    complains(stage(ADAPLER, *RATES), matrix.name, "row", "store_saliencies.py")
    rows.write_bytes(rows.read_bytes()[:-50])
    complains(stage(ADAPLER, *RATES), matrix.name, "store_saliencies.py")
    matrix.write_bytes(b"no array")
    complains(stage(ADAPLER, *RATES), matrix.name, "store_saliencies.py")


def test_a_target_without_the_fine_tuned_weights_is_refused_before_training(stage, with_saliencies):
    weights = with_saliencies.fine_tuned(1)
    weights.unlink()
    result = stage(ADAPLER, "--LEARNING_RATE", 0.01, "--TARGET_SPEEDUP", 1.2)
    complains(result, str(weights), "run_classification_bert.py --TASK sst2 --DATA_SEED 1")
    assert not with_saliencies.adaptive_models.exists()


def test_saliencies_of_other_weights(stage, with_saliencies):
    assert stage(FINE_TUNE, "--EPOCHS", 1, "--LEARNING_RATE", 0.02)[0] == 0
    complains(stage(ADAPLER, *RATES), "other weights", "store_saliencies.py")


OTHER = ("--EPOCHS", 1, "--LEARNING_RATE", 0.02)


def stop(*_, **__):
    raise KeyboardInterrupt


def files_of(folder) -> dict:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_training_that_is_stopped_before_an_epoch_leaves_the_record_of_the_one_before(stage, fine_tuned, monkeypatch):
    """Whose files are all there; --RESUME takes nothing of it for a run with other settings."""
    folder = fine_tuned.run_folder("fine_tune")
    before, weights = files_of(folder), fine_tuned.fine_tuned(1).read_bytes()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tools.runtime.checkpoints.TFAdapLeRForSequenceClassification.from_pretrained", stop)
        stage(FINE_TUNE, *OTHER)
    assert files_of(folder) == before
    complains(stage(FINE_TUNE, *OTHER, "--RESUME"), "--LEARNING_RATE")
    assert stage(FINE_TUNE, *OTHER)[0] == 0
    assert fine_tuned.fine_tuned(1).read_bytes() != weights


def test_a_training_that_is_killed_before_an_epoch_leaves_the_record_of_the_one_before(stage, fine_tuned):
    folder = fine_tuned.run_folder("fine_tune")
    before = files_of(folder)
    move_aside(folder)
    folder.mkdir()
    (folder / "run.json").write_text('{"settings": {}, "exit": "running"}')
    assert stage(SALIENCIES)[0] == 0
    assert files_of(folder) == before


def test_a_training_that_is_stopped_while_it_saves_its_first_epoch_is_no_finished_one(stage, fine_tuned, monkeypatch):
    """Some files are its own by then."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tools.training.callbacks.write_json", stop)
        stage(FINE_TUNE, *OTHER)
    record = json.loads((fine_tuned.run_folder("fine_tune") / "run.json").read_text())
    assert record["exit"].startswith("KeyboardInterrupt") and record["settings"]["learning_rate"] == 0.02
    complains(stage(FINE_TUNE, *OTHER), "--RESUME")
    assert stage(FINE_TUNE, *OTHER, "--RESUME")[0] == 0


def test_a_mistyped_command_leaves_the_record_of_a_finished_run(stage, with_saliencies):
    """Stage 2 goes on from it, and --RESUME finds it finished."""
    folder = with_saliencies.run_folder("fine_tune")
    before = files_of(folder)
    assert {"run.json", "scores.jsonl"} <= {file.name for file in before}
    complains(stage(FINE_TUNE, "--EPOCHS", 1, MAX_LENGTH=17), "MAX_LENGTH 17")
    assert files_of(folder) == before
    assert not list(with_saliencies.logs.glob(".*"))
    assert stage(SALIENCIES)[0] == 0


def test_a_new_run_replaces_all_epochs_of_the_run_before(stage, fine_tuned):
    shutil.copyfile(fine_tuned.fine_tuned(1), fine_tuned.fine_tuned(2))
    directories = [weights.with_suffix("") for weights in fine_tuned.all_fine_tuned]
    shutil.copytree(directories[0], directories[1])
    assert stage(FINE_TUNE, "--EPOCHS", 1, "--LEARNING_RATE", 0.01)[0] == 0
    assert fine_tuned.all_fine_tuned == [fine_tuned.fine_tuned(1)]
    assert [directory.exists() for directory in directories] == [True, False]


def test_stages_after_an_unfinished_stage_1_are_refused(stage, fine_tuned):
    file = fine_tuned.run_folder("fine_tune") / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"exit": "running"}))
    for script, flags in ((SALIENCIES, ()), (ADAPLER, RATES)):
        complains(stage(script, *flags), "not run to its end (running)", "--RESUME")


@pytest.mark.parametrize(
    "wrong",
    ["--MAX_LENGTH 2", "--GAMMA -1", "--PHI nan", "--WARMUP_RATIO 2", "--DATA_SEED -1", "--DATA_SEED 4294967296"],
)
def test_values_that_mean_nothing(wrong, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(STAGES["train_adapler"], "", f"--TASK sst2 --GAMMA 1 --PHI 1 {wrong}".split())
    assert exit_.value.code == 2 and wrong.split()[0] in capsys.readouterr().err


def test_output_that_another_process_writes(tmp_path):
    first = ResumableOutput(tmp_path / "out.jsonl", {})
    with pytest.raises(UserError, match="another process"):
        ResumableOutput(tmp_path / "out.jsonl", {})
    first.write([{"a": 1}], total=1)
    assert ResumableOutput(tmp_path / "out.jsonl", {}).done == 0
    with pytest.raises(UserError, match="directory"):
        ResumableOutput(tmp_path, {})


def test_rates_are_above_zero(stage):
    complains(stage(FINE_TUNE, "--LEARNING_RATE", 0), "--LEARNING_RATE", "0 is not a finite number above 0")


def test_leftovers_of_killed_processes_go(tmp_path):
    for name in (".weights.12.part.h5", "models/.run.ab.part/tf_model.h5", "models/.gone.cd.old/gone/config.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half")
    clear_leftovers(tmp_path)
    assert [str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*") if f.is_file()] == ["models/gone/config.json"]


def test_a_stage_leaves_what_other_programs_are_writing_beside_its_folders(stage, fine_tuned):
    kept = fine_tuned.root / ".answers.jsonl.part", fine_tuned.root / ".onnx.ab.part" / "model.onnx"
    gone = [folder / ".half.12.part.h5" for folder in (fine_tuned.models, fine_tuned.logs, fine_tuned.root / "data")]
    for file in (*kept, *gone):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("half")
    complains(stage(SALIENCIES, "--SPLIT", "test"), "hidden")
    assert all(file.exists() for file in kept) and not any(file.exists() for file in gone)


def test_output_never_replaces_something_else(tmp_path):
    (tmp_path / "precious").write_text("")
    with pytest.raises(UserError, match="name another"):
        require_replaceable(tmp_path, "saved_model.pb")
    require_replaceable(tmp_path, "precious")
    require_replaceable(tmp_path / "new", "saved_model.pb")
    with pytest.raises(UserError, match="delete it first"):
        require_free(tmp_path)


def test_a_changed_backbone_replaces_no_model(fine_tuned, place, tmp_path):
    model = fine_tuned.fine_tuned(1).with_suffix("")
    before = files_of(model)
    for program, flags in ((cut_layers, "--LAYERS 1"), (extend_positions, "")):
        arguments = {cut_layers: CutArguments, extend_positions: ExtendArguments}[program]
        given = f"--BACKBONE {place['BACKBONE']} --OUTPUT {model} {flags}"
        with pytest.raises(UserError, match="exists"):
            program(parse([arguments], "", given.split()))
    assert files_of(model) == before


def test_weights_that_do_not_fit(stage, fine_tuned, tmp_path):
    weights = fine_tuned.fine_tuned(1)
    complains(stage(EVALUATE, "--MODEL_PATH", weights, "--LR_MODEL"), weights.name, "--LR_MODEL")
    complains(stage(EVALUATE, "--MODEL_PATH", tmp_path / "none.h5", BACKBONE="not/there"), "none.h5 does not exist")
    other = tmp_path / "other.h5"
    tiny.make_model(converted=False, hidden_size=15, vocab_size=15).save_weights(str(other))
    complains(stage(EVALUATE, "--MODEL_PATH", other), "other.h5", "--BACKBONE")
    other.write_bytes(weights.read_bytes()[:3000])
    complains(stage(EVALUATE, "--MODEL_PATH", other), "other.h5")
    with pytest.raises(UserError, match="is a directory; give"):
        checkpoints.load_weights(tiny.make_model(), weights.with_suffix(""))


def test_a_classifier_for_other_labels(place):
    """A backbone's gives way to a new one; a trained model's is refused."""
    backbone, task = place["BACKBONE"], TABLE["ag_news"]
    assert checkpoints.load_backbone(str(backbone), task, 16).classifier.kernel.shape == (12, 4)
    with pytest.raises(UserError, match=r"classifier.*ag_news needs"):
        checkpoints.load_model(backbone, str(backbone), task, 16, converted=False)


def test_weights_that_are_missing(place, tmp_path):
    shutil.copytree(place["BACKBONE"], tmp_path / "bert")
    (weights,) = (file for file in (tmp_path / "bert").iterdir() if file.suffix in (".h5", ".safetensors"))
    weights.unlink()
    save_file({"other.weight": np.zeros(3, np.float32)}, tmp_path / "bert" / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="lacks"):
        checkpoints.load_backbone(str(tmp_path / "bert"), TABLE["sst2"], 16)
    with pytest.raises(UserError, match="lacks"):
        checkpoints.load_saved(tmp_path / "bert")


def test_an_adapler_is_no_backbone(tmp_path):
    tiny.make_model().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is a trained AdapLeR"):
        checkpoints.load_backbone(str(tmp_path), TABLE["sst2"], 16)


def test_saliencies_of_hidden_labels(stage, fine_tuned):
    of_train = (fine_tuned.run_folder("store_saliencies") / "run.json").read_text()
    complains(stage(SALIENCIES, "--SPLIT", "test"), "test", "hidden")
    assert (fine_tuned.run_folder("store_saliencies") / "run.json").read_text() == of_train
    assert "hidden" in (fine_tuned.run_folder("store_saliencies_test") / "run.json").read_text()


@pytest.mark.parametrize("flag", ["--TEXT_COLUMNS headline", "--LABEL_COLUMN topic", "--SPLIT_BY_BODY"])
def test_flags_of_other_tasks(stage, flag):
    complains(stage(FINE_TUNE, *flag.split()), flag.split()[0], "sst2", "leave")


def test_a_models_name_is_a_name_wherever_one_stands(monkeypatch, tmp_path):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    where = TaskPaths(NAME, 1, "sst2")
    assert where.evaluation(Path(".")) == where.evaluation(Path("model.h5"))


def test_nan_loss_keeps_the_last_good_checkpoint(stage, fine_tuned):
    before = fine_tuned.fine_tuned(1).read_bytes()
    complains(stage(FINE_TUNE, "--EPOCHS", 2, "--LEARNING_RATE", 1e30), "nan", "--LEARNING_RATE")
    assert fine_tuned.fine_tuned(1).read_bytes() == before
    assert not list(fine_tuned.root.rglob("*.part*"))


def test_a_failed_run_leaves_the_logs_of_the_run_before_and_a_new_one_replaces_them(stage, with_saliencies):
    assert stage(ADAPLER, "--EPOCHS", 1, *RATES)[0] == 0
    name = "run_GAMMA0.5_PHI0.0005"
    models = with_saliencies.adapler(name), with_saliencies.adapler_last(name)
    scales = [with_saliencies.eta_scales(model) for model in models]
    for file in scales:
        file.write_text("{}")
    before = {file: file.read_bytes() for file in with_saliencies.logs.rglob("*.json*")}
    assert with_saliencies.adapler_log(name) in before
    complains(stage(ADAPLER, "--EPOCHS", 1, *RATES[2:], "--LEARNING_RATE", 1e30), "nan", "--LEARNING_RATE")
    assert {file: file.read_bytes() for file in with_saliencies.logs.rglob("*.json*")} == before
    assert stage(ADAPLER, "--EPOCHS", 1, *RATES)[0] == 0
    assert not any(file.exists() for file in scales)


def test_a_failed_save_leaves_the_old_weights(tmp_path, monkeypatch):
    model, file = tiny.make_model(converted=False), tmp_path / "weights.h5"
    checkpoints.save_weights(model, file)
    before = file.read_bytes()

    def fail(path):
        (tmp_path / "half").write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(model, "save_weights", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save_weights(model, file)
    assert file.read_bytes() == before and tf.io.gfile.listdir(str(tmp_path)).count("weights.h5") == 1


def test_stored_weights_that_differ_from_memory_are_an_error(tmp_path):
    model, file = tiny.make_model(), tmp_path / "weights.h5"
    checkpoints.save_weights(model, file)
    checkpoints.verify_weights(model, file)
    kernel = model.bert.encoder.contribution_predictors[1].score.kernel
    kernel.assign(kernel + 1e-3)
    with pytest.raises(OSError, match=r"weights\.h5 was not written correctly"):
        checkpoints.verify_weights(model, file)
