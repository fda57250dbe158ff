"""Kills each training stage at random moments, resumes it, and compares what it leaves with an uninterrupted run's.

Runs on a few examples of the generated task, in a temporary directory. A signal comes at a moment drawn evenly from the
uninterrupted run's duration, or the disk takes no file beyond a size drawn as evenly; then the same command runs with
--RESUME. Everything is bit-equal or it counts as lost. At the end, every kind of tests/bad_inputs.py is put before its
stage, which has to end with code 2 and one sentence.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from tests.bad_inputs import KINDS, BadInput
from tools.common.atomic_files import write_json
from tools.common.errors import UserError
from tools.common.paths import ROOT
from tools.common.provenance import provenance
from tools.results.tables import bad_inputs_table, faults_table
from tools.runtime.argument_parser import argument_group, flag, parse
from tools.runtime.argument_types import PositiveInt
from tools.runtime.program import BAD_INPUT, run_program

COMMON = "--TASK demo --DATA_SEED 1 --MAX_LENGTH 72 --DETERMINISTIC --MAX_TRAIN_EXAMPLES 400 --MAX_EVAL_EXAMPLES 50"
STAGES = {
    "fine_tune": "run_files/run_classification_bert.py --EPOCHS 4 --LEARNING_RATE 6e-4 --RESHUFFLE",
    "store_saliencies": "tools/store_saliencies.py --BATCH_SIZE 8",
    "train_adapler": "run_files/run_classification_w_lr.py --EPOCHS 4 --GAMMA 0.05 --PHI 0.005 --RESHUFFLE",
    "train_adapler, target": "run_files/run_classification_w_lr.py --EPOCHS 4 --TARGET_SPEEDUP 2 --GROUP_BY_LENGTH",
}
OUTPUTS = ("models/**/*.h5", "data/sals/**/*.npy", "logs/ft_logs.json", "logs/**/scores.jsonl")
FAULTS = {"SIGKILL": 1.0, "SIGTERM": 0.1, "SIGINT": 0.1, "disk full": 0.1}
"""Fault -> how often it is injected, as a part of --TIMES."""


@argument_group("faults")
class FaultArguments:
    times: PositiveInt = flag("how often to kill each stage", 20)
    save: Path | None = flag("also write the results to this JSON file", None)


def inject(arguments: FaultArguments) -> None:
    rng, faults = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as temporary:
        whole, hurt, before = (Path(temporary) / name for name in ("whole", "hurt", "before"))
        whole.mkdir()
        for stage, command in STAGES.items():
            shutil.copytree(whole, before)
            start = time.monotonic()
            run(command, whole)
            duration, expected = time.monotonic() - start, outputs(whole)
            plan = [name for name, part in FAULTS.items() for _ in range(max(1, round(part * arguments.times)))]
            for name in tqdm(plan, desc=stage):
                shutil.copytree(before, hurt)
                when = float(rng.uniform())
                code = disturbed(command, hurt, name, when, duration)
                lost = resumed(f"{command} --RESUME", hurt, expected)
                faults.append({"stage": stage, "fault": name, "when": when, "exit_code": code, "lost": lost})
                shutil.rmtree(hurt)
            shutil.rmtree(before)
        answers = [try_bad_input(bad, whole, hurt) for bad in tqdm(KINDS, desc="bad inputs")]
    result = {"kind": "faults", **provenance(), "faults": faults, "bad_inputs": answers}
    if arguments.save:
        write_json(arguments.save, result)
    print(faults_table(result), bad_inputs_table(result), sep="\n\n")
    if any(fault["lost"] for fault in faults) or any(answer["exit_code"] != BAD_INPUT for answer in answers):
        raise UserError("a resumed run differs from the uninterrupted one, or a bad input was not refused")


def run(command: str, directory: Path) -> None:
    """Runs a stage to its end.

    Raises:
        UserError: it failed.
    """
    done = _start(command, directory)
    _, message = done.communicate()
    if done.returncode != 0:
        raise UserError(f"{command} failed: {message[-2000:]}")


def resumed(command: str, directory: Path, expected: dict) -> list[str]:
    """Resumes a disturbed stage; gives the files that are not as expected, or why it failed."""
    try:
        run(command, directory)
    except UserError as error:
        return [str(error)]
    return differences(expected, outputs(directory))


def disturbed(command: str, directory: Path, fault: str, when: float, duration: float) -> int:
    """Starts a stage and has something happen to it; gives its exit code, 0 if it had ended before.

    Args:
        when: 0 is the stage's start, 1 its end after `duration` seconds; on a full disk, the part of 1 MB beyond which
            no file grows.
    """
    if fault == "disk full":
        process = _start(command, directory, largest_file=int(when * 2**20))
    else:
        process = _start(command, directory)
        with suppress(subprocess.TimeoutExpired):
            process.wait(when * duration)
        process.send_signal(signal.Signals[fault])
    process.communicate()
    return process.returncode


def try_bad_input(bad: BadInput, whole: Path, hurt: Path) -> dict:
    """Puts one kind of bad input before its stage; gives the exit code and the last line of what the stage said."""
    shutil.copytree(whole, hurt)
    shutil.copytree(whole / "generated", hurt / "given")
    file = next(hurt.glob(bad.file))
    bad.damage(file)
    process = _start(bad.command.format(file=file, folder=file.parent), hurt)
    said = process.communicate()[1].strip().splitlines() or [""]
    shutil.rmtree(hurt)
    return {"kind": bad.kind, "exit_code": process.returncode, "message": said[-1].replace(f"{hurt}/", "")}


def outputs(directory: Path) -> dict[str, object]:
    """What a run has left, by its path: arrays of weights and saliencies, text of logs."""
    files = sorted({file for pattern in OUTPUTS for file in directory.glob(f"*/*/*/{pattern}")})
    return {str(file.relative_to(directory)): content(file) for file in files}


def content(file: Path) -> object:
    if file.suffix == ".h5":
        arrays: dict[str, np.ndarray] = {}
        with h5py.File(file) as opened:
            opened.visititems(
                lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        return arrays
    return {"": np.load(file, allow_pickle=False)} if file.suffix == ".npy" else file.read_text(encoding="utf-8")


def differences(expected: dict, found: dict) -> list[str]:
    """Files that are missing, too many, or not the same."""
    wrong = sorted(expected.keys() ^ found.keys())
    return wrong + [name for name in sorted(expected.keys() & found.keys()) if not same(expected[name], found[name])]


def same(one: object, other: object) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
    return one == other


def _start(command: str, directory: Path, largest_file: int | None = None) -> subprocess.Popen:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.Popen(
        [sys.executable, *command.split(), *COMMON.split()],
        cwd=ROOT,
        env={**os.environ, "ADAPLER_DIRECTORY": str(directory)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=None if largest_file is None else limit,
    )


if __name__ == "__main__":
    run_program(parse([FaultArguments], __doc__), inject)
