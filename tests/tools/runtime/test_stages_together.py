"""Stages that do not belong together: two at once, another validation set, another stage 1, a part of an evaluation."""

import json
import os

from tests.tiny_task import NAME
from tests.tools.runtime.refusals import ADAPLER, EVALUATE, FINE_TUNE, RATES, complains
from tools.common.locks import locked
from tools.common.paths import TaskPaths


def test_a_second_run_in_one_directory_is_refused(stage):
    with locked(TaskPaths(NAME, 1, "sst2").root):
        complains(stage(FINE_TUNE), f"process {os.getpid()} is running")


def test_other_validation_examples_than_stage_1s(stage, with_saliencies):
    """Their scores cannot be compared."""
    result = stage(ADAPLER, *RATES, "--MAX_EVAL_EXAMPLES", 3)
    complains(result, "stage 1 was scored on other validation examples", "--MAX_LENGTH")
    assert not with_saliencies.adaptive_models.exists()


def test_a_new_stage_1_under_an_interrupted_stage_3(stage, with_saliencies):
    weights, backup = with_saliencies.fine_tuned(1), with_saliencies.adapler_run("run_TARGET2.0") / "backup"
    backup.mkdir(parents=True)
    (backup / "checkpoint").write_text("")
    before = weights.read_bytes()
    complains(stage(FINE_TUNE, "--EPOCHS", 1), str(backup.parent), "--RESUME")
    assert weights.read_bytes() == before


def test_fine_tuned_weights_are_scored_at_the_length_that_they_were_trained_at(stage, with_saliencies):
    assert stage(EVALUATE, "--MODEL_PATH", with_saliencies.fine_tuned(1), MAX_LENGTH=None)[0] == 0
    record = with_saliencies.run_folder("evaluate", with_saliencies.fine_tuned(1)) / "run.json"
    assert json.loads(record.read_text())["settings"]["max_length"] == 16


def test_an_evaluation_of_one_split_keeps_the_others(stage, with_saliencies):
    weights, file = with_saliencies.fine_tuned(1), with_saliencies.evaluation(with_saliencies.fine_tuned(1))
    assert stage(EVALUATE, "--MODEL_PATH", weights)[0] == 0
    before = json.loads(file.read_text())
    assert stage(EVALUATE, "--MODEL_PATH", weights, "--SPLIT", "validation")[0] == 0
    assert json.loads(file.read_text()) == before and {"validation", "test"} <= before.keys()
    assert stage(EVALUATE, "--MODEL_PATH", os.path.relpath(weights), "--SPLIT", "validation")[0] == 0
    assert json.loads(file.read_text()).keys() == before.keys()
    file.write_text(json.dumps(before | {"weights": 1}))
    assert stage(EVALUATE, "--MODEL_PATH", weights, "--SPLIT", "validation")[0] == 0
    assert "test" not in json.loads(file.read_text())
