"""Which flags run_task.sh hands to which stage; the stages themselves are tested elsewhere."""

import pytest

from tests.noted_commands import ADAPLER, FINE_TUNED, noted_commands, stage_names
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

TRAINING = ["run_classification_bert", "store_saliencies", "run_classification_w_lr"]
STAGE_OF = {
    **{"run_classification_bert": "fine_tune", "run_classification_w_lr": "train_adapler"},
    **{"run_classification_evaluation": "evaluate", "run_summary": "summarize"},
}
SCORING = ["run_classification_evaluation", "run_classification_evaluation", "run_summary"]


def stages_of(command: str, folder) -> tuple[list[str], list]:
    """The names of the stages that a command runs, and the arguments of each."""
    done, commands = noted_commands(f"run_files/run_task.sh {command}", folder)
    assert done.returncode == 0, done.stderr[-2000:]
    names = stage_names(commands)
    arguments = []
    for name, words in zip(names, commands, strict=True):
        flags = words[2:] if words[0] == "-m" else words[1:]
        arguments.append(parse(STAGES[STAGE_OF.get(name, name)], "", flags))
    return names, arguments


@pytest.mark.parametrize(
    ("task", "flags", "rate", "stage_3_rate", "target"),
    [
        ("mrpc", "--TARGET", 5e-5, 1e-4, 2),
        ("ag_news", "--TARGET", 1e-4, 1e-4, 7),
        ("custom", "", 5e-5, 1e-4, 3),
        ("sst2", "--target_speedup=3.5 --LEARNING_RATE 7e-5", 7e-5, 7e-5, 3.5),
    ],
)
def test_a_run_with_a_target_takes_the_recipe(task, flags, rate, stage_3_rate, target, tmp_path):
    names, stages = stages_of(f"{task} 9 {flags} --MIXED_PRECISION", tmp_path)
    assert names == [*TRAINING, *SCORING]
    fine_tuning, saliencies, training, *_ = stages
    assert all(stage.task == task and stage.data_seed == 9 for stage in stages)
    assert (fine_tuning.learning_rate, fine_tuning.clip_norm, fine_tuning.epochs) == (rate, 1, 5)
    assert (training.learning_rate, training.target_speedup, training.epochs) == (stage_3_rate, target, 5)
    assert fine_tuning.group_by_length and training.group_by_length and training.distills
    assert str(training.initial_model_path) == FINE_TUNED and training.gamma is None and training.phi is None
    assert fine_tuning.mixed_precision and saliencies.mixed_precision and training.mixed_precision
    adapler = ADAPLER.removesuffix(".h5")
    assert [str(stage.model_path) for stage in stages[3:]] == [FINE_TUNED, adapler, adapler]


@pytest.mark.parametrize(
    "wrong",
    [
        *("--GAMA 0.5", "--EPOCH 3", "--SUBMISSION", "--SPLIT test", "--MODEL_PATH a.h5"),
        *("--PHI 0.1 --TARGET_SPEEDUP 2", "--TARGET_SPEEDUP=0.5", "--TASK mrpc", "--data_seed=3"),
        *("--MAX_LOSS 0.02 --TARGET_SPEEDUP 2", "--scales 1 2 --TARGET"),
    ],
)
def test_a_wrong_or_contradictory_flag_is_an_error_before_the_first_stage(wrong, tmp_path):
    done, commands = noted_commands(f"run_files/run_task.sh sst2 7 {wrong}", tmp_path)
    assert done.returncode == 2 and wrong.split()[0].split("=")[0] in done.stderr.splitlines()[-1] and not commands


def test_a_wrong_flag_in_a_settings_file_is_an_error(tmp_path):
    (tmp_path / "settings.sh").write_text("FINE_TUNE=(--EPOCS 3)\n")
    settings = str(tmp_path / "settings.sh")
    done, commands = noted_commands("run_files/run_task.sh sst2 7", tmp_path, SETTINGS=settings)
    assert done.returncode == 2 and "--EPOCS" in done.stderr.splitlines()[-1] and not commands


def test_phi_for_a_task_with_a_target_is_answered_with_the_flag_that_helps(tmp_path):
    done, commands = noted_commands("run_files/run_task.sh demo 9 --PHI 0.001", tmp_path)
    assert done.returncode == 2 and "--PUBLISHED" in done.stderr.splitlines()[-1] and not commands


def test_a_speedup_after_target_is_answered_with_the_flag_that_takes_it(tmp_path):
    done, commands = noted_commands("run_files/run_task.sh sst2 9 --TARGET 2.5 --EPOCHS 3", tmp_path)
    assert done.returncode == 2 and done.stderr.endswith(": --TARGET_SPEEDUP 2.5\n") and not commands


@pytest.mark.parametrize(
    "command",
    [
        "run_task.sh custom 9 --TARGET_SPEEDUP=3 --PUBLISHED",
        "search.sh mrpc 9 '--GAMMA 0.1 --PHI 0.1' --TARGET_SPEEDUP 3",
    ],
)
def test_a_speedup_and_the_published_settings_exclude_one_another(command, tmp_path):
    done, commands = noted_commands(f"run_files/{command}", tmp_path)
    assert done.returncode == 2 and "--TARGET_SPEEDUP has no use" in done.stderr and not commands


@pytest.mark.parametrize("flag", ["--SAVE f.json", "--save=f.json"])
def test_seeds_share_no_summary(flag, tmp_path):
    done, commands = noted_commands(f"run_files/run_seeds.sh mrpc 1 2 {flag}", tmp_path)
    assert done.returncode == 2 and "--SAVE" in done.stderr and not commands


@pytest.mark.parametrize(("task", "flags"), [("mrpc", ""), ("custom", "--PUBLISHED")])
def test_a_run_without_a_target_takes_the_published_settings(task, flags, tmp_path):
    names, (fine_tuning, _, training, *_) = stages_of(f"{task} 9 {flags}", tmp_path)
    assert names == [*TRAINING, "choose_eta_scale", *SCORING]
    assert (fine_tuning.learning_rate, fine_tuning.clip_norm, fine_tuning.epochs) == (2e-5, 0, 5)
    assert (training.learning_rate, training.gamma, training.phi, training.epochs) == (3e-5, 0.005, 0.0005, 5)
    assert training.initial_model_path is None and training.target_speedup is None and not training.distills
    assert not fine_tuning.group_by_length and not training.group_by_length
