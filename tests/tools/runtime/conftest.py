"""A directory for each test, with the stages that it needs."""

import shutil

import pytest

from tests.tiny_task import NAME, run_here, write_backbone, write_sst2
from tests.tools.runtime.refusals import FINE_TUNE, SALIENCIES
from tools.common import paths
from tools.common.paths import TaskPaths


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad_input")
    return {"BACKBONE": write_backbone(root / NAME), "DATA_DIR": write_sst2(root / "data")}


@pytest.fixture(scope="module")
def run_script(place):
    """Runs a stage in this process: (script, flags, NAME=value changes) -> (exit code, stderr)."""

    def run(script, *flags, **changes) -> tuple[int, str]:
        settings = {"TASK": "sst2", "DATA_SEED": 1, "MAX_LENGTH": 16, **place, **changes}
        named = [f"--{name} {value}" for name, value in settings.items() if value is not None]
        done = run_here(" ".join(["python", script, *named, *map(str, flags)]))
        return done.returncode, done.stderr

    return run


@pytest.fixture
def stage(run_script, monkeypatch, tmp_path):
    """The same in a directory of the test's own."""
    monkeypatch.setattr(paths, "DIRECTORY", tmp_path)
    return run_script


@pytest.fixture(scope="module")
def after_stage_2(run_script, tmp_path_factory):
    """A directory with a fine-tuned epoch and its saliencies."""
    directory = tmp_path_factory.mktemp("after_stage_2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "DIRECTORY", directory)
        assert run_script(FINE_TUNE, "--EPOCHS", 1, "--LEARNING_RATE", 0.01)[0] == 0
        assert run_script(SALIENCIES)[0] == 0
    return directory


@pytest.fixture
def with_saliencies(stage, after_stage_2, tmp_path):
    """The paths of a run in the test's directory that has finished stages 1 and 2."""
    shutil.copytree(after_stage_2, tmp_path, dirs_exist_ok=True)
    return TaskPaths(NAME, 1, "sst2")


@pytest.fixture
def fine_tuned(with_saliencies):
    """The paths of a run in the test's directory that has finished stage 1."""
    shutil.rmtree(with_saliencies.saliencies("train"))
    return with_saliencies
