"""The house's rules: imports go one way, and what the README names exists."""

import os
import re
import subprocess
import sys

import pytest

from tests import layout_rules, mutations
from tools.common.paths import ROOT
from tools.common.provenance import VERSION
from tools.common.task_names import CUSTOM
from tools.data.tasks import TABLE
from tools.runtime import forward_flags

RULES = [layout_rules.upward_imports, layout_rules.cycles, layout_rules.strays, layout_rules.too_long]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps_the_rule(rule):
    assert len(layout_rules.modules(ROOT)) > 60
    assert list(rule(ROOT)) == []


FAULTS = {
    "upward_imports": ("tools/data/rows.py", "from tools.training.fit import fit"),
    "cycles": ("tools/training/fit.py", "def fit():\n    from tools.training import callbacks"),
    "strays": ("tools/rows.py", ""),
    "too_long": ("tools/data/rows.py", "def read():\n" + "    pass\n" * 60),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_finds_a_fault_in_a_false_tree(rule, tmp_path):
    files = {
        "models/__init__.py": "",
        "run_files/train.py": "from tools.training.fit import fit",
        "tools/__init__.py": "",
        "tools/store_saliencies.py": "from tools.data import rows",
        "tools/data/rows.py": "",
        "tools/training/fit.py": "def fit(): pass",
        "tools/training/callbacks.py": "from tools.data.rows import *\nfrom tools.training.fit import fit",
    }
    write_tree(tmp_path, files)
    assert list(rule(tmp_path)) == []
    write_tree(tmp_path, dict([FAULTS[rule.__name__]]))
    assert list(rule(tmp_path)) != []


def test_a_module_of_too_many_lines_is_found(tmp_path):
    write_tree(tmp_path, {"models/a.py": "\n" * 351, "tools/b.py": "", "run_files/c.py": ""})
    assert list(layout_rules.too_long(tmp_path)) == ["models/a.py has 351 lines"]


def write_tree(root, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("path", sorted((ROOT / "run_files").glob("*/*.sh")), ids=lambda path: path.stem)
def test_settings_files_hold_flags_of_the_stages(path):
    names = ("COMMON", "FINE_TUNE", "SALIENCIES", "TRAIN_ADAPLER", "RECIPE", "TARGET_FINE_TUNE")
    empty = " ".join(f"{name}=()" for name in names)
    arrays = " ".join(f'"${{{name}[@]}}"' for name in names)
    script = f"seed=1; {empty}; source {path}; printf '%s\\0' --TARGET_SPEEDUP \"$TARGET\" {arrays}"
    done = subprocess.run(["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, check=True)
    forward_flags.check(done.stdout.split("\0")[:-1])


@pytest.mark.parametrize(
    "command",
    [
        "run_task.sh sst2",
        "train_alternatives.sh sst2",
        "run_seeds.sh mrpc --PHI 1",
        "search.sh mrpc 22",
        "ablation.sh mrpc",
        "run_multi_worker.sh 0 a.py",
    ],
)
def test_shell_scripts_say_how_to_call_them(command):
    done = subprocess.run(f"./{command}", shell=True, cwd=ROOT / "run_files", capture_output=True, text=True)
    assert done.returncode == 2 and f"Usage: run_files/{command.split()[0]}" in done.stderr


SOURCED = {"setup_environment", "stages", "usage"}


@pytest.mark.parametrize("script", sorted({p.stem for p in (ROOT / "run_files").glob("*.sh")} - SOURCED))
def test_shell_scripts_have_help(script, tmp_path):
    for flag in ("--help", "-h"):
        done = subprocess.run([ROOT / "run_files" / f"{script}.sh", flag], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and f"\nUsage: run_files/{script}.sh" in done.stdout and not done.stderr


def test_the_selection_of_flags_has_help():
    command = [sys.executable, "-m", "tools.runtime.forward_flags"]
    done, wrong = (
        subprocess.run([*command, word], cwd=ROOT, capture_output=True, text=True) for word in ("--help", "stage")
    )
    assert done.returncode == 0 and forward_flags.__doc__.strip() in done.stdout
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr


PAGES = ["README.md", "tools/README.md", "models/README.md", "tools/inference/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_what_exists(page):
    text = (ROOT / page).read_text()
    text = re.sub(r"^\| `python tools/[^|]*\|", "", text, flags=re.M)  # earlier commands
    files = set(re.findall(r"(?:run_files|tools|models|directory|tests)/[\w./-]+\.(?:py|sh|md)", text))
    modules = set(re.findall(r"python -m ([\w.]+)", text))
    assert [name for name in files if not (ROOT / name).exists()] == []
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []


def commands(page: str) -> dict[str, set[str]]:
    """The commands in a page's indented blocks: program -> the flags that the page gives it."""
    programs: dict[str, set[str]] = {}
    for line in (ROOT / page).read_text().splitlines():
        match = re.match(r"    (?:\S+=\S+ )?((?:python (?:-m )?)?[\w./]+(?:\.py|\.sh|[\w.]+))(.*)", line)
        if match:
            flags = set(re.findall(r"--[A-Z_]+", match[2].split("#")[0]))
            programs.setdefault(match[1], set()).update(flags)
    return programs


README_COMMANDS = commands("README.md")


def test_the_readme_has_commands():
    assert len(README_COMMANDS) >= 15


@pytest.mark.parametrize("program", sorted(p for p in README_COMMANDS if p.startswith("python ") and "your" not in p))
def test_programs_of_the_readme_know_their_flags(program):
    command = [sys.executable, *program.split()[1:], "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    known = set(re.findall(r"--[A-Z_]+", done.stdout))
    assert README_COMMANDS[program] <= known


@pytest.mark.parametrize("script", sorted(p for p in README_COMMANDS if p.endswith(".sh") and "python" not in p))
def test_shell_commands_of_the_readme_take_their_flags(script):
    assert subprocess.run(["bash", "-n", script], cwd=ROOT).returncode == 0
    if "run_multi_worker" not in script and README_COMMANDS[script]:
        flags = README_COMMANDS[script] - {"--TARGET", "--GAMMA", "--PHI"} | {"--TARGET_SPEEDUP"}
        values = [text for flag in flags for text in (flag, "2")]
        check = [sys.executable, "-m", "tools.runtime.forward_flags", "check", *values]
        assert subprocess.run(check, cwd=ROOT, capture_output=True).returncode == 0


def test_the_project_is_used_from_another_folder(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = "from models import AdapLeRPredictor; from tools.flops import bert_flops; print(bert_flops.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "bert_flops\n", done.stderr


def test_every_task_has_its_settings():
    assert {path.stem for path in (ROOT / "run_files/tasks").glob("*.sh")} == {*TABLE, CUSTOM} - {"ax"}


def test_every_fault_has_its_place_in_the_sources_and_its_tests():
    for fault in mutations.FAULTS:
        assert mutations.mutated(fault)
        for test in fault.tests:
            file, *names = re.sub(r"\[.*\]$", "", test).split("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            assert all(re.search(rf"^ *(def|class) {name}\b", text, re.MULTILINE) for name in names), test


def test_the_citation_has_the_projects_version():
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {VERSION}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
