"""A search over settings: the commands that it runs, and the choice on dev; the stages are tested elsewhere."""

import json

import pytest

from tests.noted_commands import FINE_TUNED, noted_commands, stage_names
from tests.tiny_task import run, run_here
from tools.common import paths
from tools.common.paths import TaskPaths


def value(call: list[str], flag: str) -> str:
    """A flag's last value in a command, which is the one that holds."""
    return call[len(call) - call[::-1].index(flag)]


def test_a_search_trains_every_setting_and_scores_only_the_chosen_one(tmp_path):
    tries = '"--GAMMA 0.5 --PHI 0.001" "--GAMMA 0.6 --PHI 0.01 --SPEEDUP_LEARNING_RATE 0.3"'
    result, calls = noted_commands(
        f"run_files/search.sh sst2 9 {tries} --EPOCHS 1 --MAX_LOSS 2 --SAVE_NAME mine", tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert stage_names(calls) == [
        *("run_classification_bert", "store_saliencies"),
        *("run_classification_w_lr", "choose_eta_scale", "run_classification_w_lr", "choose_eta_scale"),
        *("choose_model", "run_classification_evaluation", "run_classification_evaluation", "run_summary"),
    ]
    assert all(value(call, "--TASK") == "sst2" and value(call, "--DATA_SEED") == "9" for call in calls)
    _, _, first, first_curve, second, second_curve, choice, *scored = calls
    assert value(calls[0], "--EPOCHS") == value(first, "--EPOCHS") == value(second, "--EPOCHS") == "1"
    assert (value(first, "--GAMMA"), value(first, "--PHI")) == ("0.5", "0.001")
    assert (value(second, "--GAMMA"), value(second, "--PHI")) == ("0.6", "0.01")
    assert value(second, "--SPEEDUP_LEARNING_RATE") == "0.3" and "--SPEEDUP_LEARNING_RATE" not in first
    assert [value(call, "--MODEL_PATH") for call in (first_curve, second_curve)] == ["search_1", "search_2"]
    assert [value(call, "--SAVE_NAME") for call in (first, second)] == ["search_1", "search_2"]
    assert value(first_curve, "--MAX_LOSS") == "2"
    assert choice[choice.index("--MODEL_PATHS") :][1:3] == ["search_1", "search_2"]
    assert [value(call, "--MODEL_PATH") for call in scored] == [FINE_TUNED, "search_2", "search_2"]


@pytest.mark.parametrize("wrong", ["", "--PHI 0.01", '"--PHO 0.01 --GAMMA 1"'])
def test_a_search_without_sound_settings_is_refused(wrong):
    result = run(f"run_files/search.sh sst2 9 {wrong}")
    assert result.returncode == 2 and ("Usage" in result.stderr or "--PHO" in result.stderr)


def test_a_flag_that_stage_3_does_not_take_is_no_setting_to_compare():
    result = run("run_files/search.sh sst2 9 '--GAMMA 0.05 --CLIP_NORM 0' '--GAMMA 0.05 --CLIP_NORM 1'")
    assert result.returncode == 2
    assert "no stage accepts --CLIP_NORM among the settings that search.sh compares" in result.stderr


def test_the_fastest_model_that_keeps_its_score_is_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DIRECTORY", tmp_path)
    where = TaskPaths("tiny_choice", 9, "sst2")
    where.logs.mkdir(parents=True)
    chosen = {"slow": (0.5, 1.5), "fast": (1, 2.5), "wrong": (None, 9.0)}
    models = [where.adapler(name).with_suffix("") for name in chosen]
    for model, (scale, speedup) in zip(models, chosen.values(), strict=True):
        points = (scale or 1, 0.9, speedup), (3, 0.1, 20.0)
        curve = [dict(zip(("eta_scale", "score", "speedup"), point, strict=True)) for point in points]
        where.eta_scales(model).write_text(json.dumps({"fine_tuned": 0.9, "curve": curve, "chosen": scale}))
    command = "python -m tools.evaluation.choose_model --TASK sst2 --DATA_SEED 9 --BACKBONE tiny_choice --MODEL_PATHS"
    done = run_here(f"{command} {' '.join(map(str, models))}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(models[1])
    assert sum("chosen" in line for line in done.stdout.splitlines()) == 1
    other = where.root.parent.parent / "8" / "sst2" / models[1].relative_to(where.root)
    mixed = run_here(f"{command} {models[0]} {other}")
    assert mixed.returncode == 2 and f"{other} is of the run" in mixed.stderr
    none = run_here(f"{command} {models[2]}")
    assert none.returncode == 2 and "none of the 1 models" in none.stderr
