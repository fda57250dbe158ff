"""What stops a run before it starts: names and flags that nothing can mean, and another run in its directory."""

import shlex
from pathlib import Path

import pytest

from tools.common.errors import UserError
from tools.common.locks import locked
from tools.runtime import forward_flags
from tools.runtime import stage as stages
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES


def test_two_starts_at_once(monkeypatch, tmp_path):
    """The one that comes second, after it saw no directory, leaves that of the first alone."""
    root = tmp_path / "run"
    with locked(root):
        monkeypatch.setattr(Path, "exists", lambda path: path != root)
        with pytest.raises(UserError, match="is running in"), stages._locked(root):
            pass
        monkeypatch.undo()
        assert (root / ".lock").exists()


@pytest.mark.parametrize(
    "flags", ["--SAVE_NAME a/b", "--SAVE_NAME ..", "--BACKBONE_NAME org/model", "--BACKBONE_NAME ''"]
)
def test_names_that_are_paths(flags, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse(STAGES["train_adapler"], "", ["--TASK", "sst2", *shlex.split(flags)])
    assert "is not a name without '/'" in capsys.readouterr().err


@pytest.mark.parametrize("flags", ["--EPOCHS 3 -h", "-h", "--TARGET=3", "--EPOCHS 3 -EPOCHS 4"])
def test_flags_that_no_stage_can_mean_stop_the_pipeline(flags, capsys):
    with pytest.raises(SystemExit, match="2"):
        forward_flags.check(flags.split())
    assert "is not a flag" in (said := capsys.readouterr().err) or "--TARGET takes no value" in said
    forward_flags.check(["--GAMMA", "0.1", "--PHI", "1e-3", "--DATA_DIR", "-1"])  # a value may be a negative number
