"""The house's rules: imports go one way, and what the README names exists."""

import ast
import re
import subprocess
import sys

import pytest

from tools.paths import ROOT
from tools.tasks import CUSTOM, TABLE

ROOMS = ["models", "tools", "run_files"]
MODULES = [path for room in ROOMS for path in sorted((ROOT / room).glob("*.py"))]


def imported(path) -> set[str]:
    """Modules of the project that a file imports, by dotted name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ROOMS:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.split(".")[0] in ROOMS}
    return {name for name in names if (ROOT / f"{name.replace('.', '/')}.py").exists()}


def name_of(path) -> str:
    return f"{path.parent.name}.{path.stem}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path):
    level = ROOMS.index(path.parent.name)
    assert all(ROOMS.index(name.split(".")[0]) <= level for name in imported(path))


@pytest.mark.parametrize("path", sorted((ROOT / "run_files").glob("*/*.sh")), ids=name_of)
def test_settings_files_hold_flags_of_the_stages(path):
    arrays = " ".join(f'"${{{name}[@]}}"' for name in ("COMMON", "FINE_TUNE", "SALIENCIES", "TRAIN_ADAPLER"))
    script = f"seed=1; COMMON=() FINE_TUNE=() SALIENCIES=() TRAIN_ADAPLER=(); source {path}; {sys.executable} "
    done = subprocess.run(["bash", "-euc", f"{script} tools/settings.py check {arrays}"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command", ["run_task.sh sst2", "run_seeds.sh mrpc --PHI 1", "search.sh mrpc 22", "run_multi_worker.sh 0 a.py"]
)
def test_shell_scripts_say_how_to_call_them(command):
    done = subprocess.run(f"./{command}", shell=True, cwd=ROOT / "run_files", capture_output=True, text=True)
    assert done.returncode == 2 and f"Usage: run_files/{command.split()[0]}" in done.stderr


def test_imports_have_no_cycle():
    graph = {name_of(path): imported(path) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"cycle {' -> '.join((*above, name))}"
        if name not in done:
            for other in graph.get(name, ()):
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_readme_names_what_exists():
    named = set(
        re.findall(r"(?:run_files|tools|models|directory|tests)/[\w./-]+\.(?:py|sh)", (ROOT / "README.md").read_text())
    )
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_task_has_its_settings():
    assert {path.stem for path in (ROOT / "run_files/tasks").glob("*.sh")} == {*TABLE, CUSTOM} - {"ax"}
