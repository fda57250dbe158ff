"""Puts small faults into copies of the sources, and shows which test notices each.

For every fault, the sources are copied to a temporary directory, one place in them is changed, and the tests that
should notice run until the first failure. Prints a Markdown table; the exit code is 1 if a fault is not caught. A fault
whose text does not occur exactly once in its file, and tests that cannot be run, are errors.

Usage: python -m tests.mutations [NAME ...] [--SAVE FILE]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import FAULTS, Fault
from tools.common.atomic_files import write_json
from tools.common.errors import UserError
from tools.common.markdown import markdown
from tools.common.paths import ROOT
from tools.common.provenance import provenance

COPIED = ("models", "tools", "run_files", "tests", "results", "directory/build_task_dirs.sh", ".pytest.ini")
TESTS_FAILED = 1
"""pytest's exit code when tests ran and some failed."""


def mutate(names: list[str], save: Path | None) -> None:
    """Tries the named faults, or all.

    Raises:
        UserError: there is no such fault, a fault cannot be made, the tests fail without a fault, or one is not caught.
    """
    unknown = set(names) - {fault.name for fault in FAULTS}
    if unknown:
        raise UserError(f"no fault {', '.join(sorted(unknown))}; faults are {', '.join(f.name for f in FAULTS)}")
    faults = [fault for fault in FAULTS if not names or fault.name in names]
    for fault in faults:
        mutated(fault)  # refuses what cannot be made before the work
    failed = noticing_test(None, sorted({test for fault in faults for test in fault.tests}))
    if failed:
        raise UserError(f"{failed} fails without a fault; mend it first")
    results = []
    for fault in faults:
        start = time.monotonic()
        test = noticing_test(fault, list(fault.tests))
        results.append({"fault": fault.name, "file": fault.file, "caught by": test or "NOT CAUGHT"})
        print(f"{fault.name}: {test or 'NOT CAUGHT'} ({time.monotonic() - start:.0f} s)", file=sys.stderr, flush=True)
        if save:
            write_json(save, {"kind": "mutations", **provenance(), "faults": results})
    print(markdown(results))
    missed = [result["fault"] for result in results if result["caught by"] == "NOT CAUGHT"]
    if missed:
        raise UserError(f"{len(missed)} of {len(results)} faults are not caught: {', '.join(missed)}")


def mutated(fault: Fault) -> str:
    """The text of the fault's file with the fault in it.

    Raises:
        UserError: the fault's text is not there exactly once.
    """
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    count = text.count(fault.text)
    if count != 1:
        raise UserError(f"'{fault.name}': its text occurs {count} times in {fault.file}; mend tests/faults/")
    return text.replace(fault.text, fault.replacement)


def noticing_test(fault: Fault | None, tests: list[str]) -> str | None:
    """The first test that fails in a copy of the sources with the fault in it; None if all pass.

    Raises:
        UserError: the tests cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="mutations-") as temporary:
        copy = Path(temporary)
        for name in COPIED:
            source, target = ROOT / name, copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        if fault:
            (copy / fault.file).write_text(mutated(fault), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--tb=line", "-rfE"]
        environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([*command, *tests], cwd=copy, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    failure = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if done.returncode != TESTS_FAILED or not failure:
        raise UserError(f"pytest cannot run {' '.join(tests)}: {(done.stdout + done.stderr)[-1000:]}")
    return failure[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults to try (default: all)")
    parser.add_argument("--SAVE", "--save", dest="save", type=Path, help="also write the results to this JSON file")
    arguments = parser.parse_args()
    try:
        mutate(arguments.names, arguments.save)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
