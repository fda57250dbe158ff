"""Kills each training stage at random moments, resumes it, and compares what it leaves with an uninterrupted run's.

Runs on a few examples of the generated task, in a temporary directory. SIGKILL comes at a moment drawn evenly from the
uninterrupted run's duration; then the same command runs with --RESUME. Everything is bit-equal or it counts as lost.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import h5py
import numpy as np
from tqdm import tqdm

from tools.errors import UserError
from tools.files import write_json
from tools.paths import ROOT
from tools.result_tables import faults_table
from tools.run_record import provenance
from tools.runtime import run_program

COMMON = "--TASK demo --DATA_SEED 1 --MAX_LENGTH 72 --DETERMINISTIC --MAX_TRAIN_EXAMPLES 400 --MAX_EVAL_EXAMPLES 50"
STAGES = {
    "fine_tune": "run_files/run_classification_bert.py --EPOCHS 4 --LEARNING_RATE 6e-4 --RESHUFFLE",
    "store_saliencies": "tools/store_saliencies.py --BATCH_SIZE 8",
    "train_adapler": "run_files/run_classification_w_lr.py --EPOCHS 4 --GAMMA 0.05 --PHI 0.005 --RESHUFFLE",
}
OUTPUTS = ("models/**/*.h5", "data/sals/**/*.npy", "logs/ft_logs.json", "logs/**/scores.jsonl")


def inject(settings: argparse.Namespace) -> None:
    rng, faults = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as temporary:
        whole, killed = Path(temporary) / "whole", Path(temporary) / "killed"
        before = Path(temporary) / "before"
        for stage, command in STAGES.items():
            shutil.copytree(whole, before, dirs_exist_ok=True) if whole.exists() else before.mkdir()
            start = time.monotonic()
            run(command, whole)
            duration, expected = time.monotonic() - start, outputs(whole)
            for moment in tqdm(rng.uniform(0, duration, settings.times), desc=stage):
                shutil.rmtree(killed, ignore_errors=True)
                shutil.copytree(before, killed)
                was_killed = kill_after(moment, command, killed)
                run(f"{command} --RESUME", killed)
                lost = differences(expected, outputs(killed))
                fault = {"stage": stage, "seconds": float(moment), "of": duration, "killed": was_killed, "lost": lost}
                faults.append(fault)
            shutil.rmtree(before)
    result = {"kind": "faults", "signal": "SIGKILL", **provenance(), "faults": faults}
    if settings.save:
        write_json(settings.save, result)
    print(faults_table(result))
    if any(fault["lost"] for fault in faults):
        raise UserError("a resumed run differs from the uninterrupted one")


def run(command: str, directory: Path) -> None:
    """Runs a stage to its end.

    Raises:
        UserError: it failed.
    """
    done = subprocess.run(_arguments(command), cwd=ROOT, env=_environment(directory), capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"{command} failed: {done.stderr[-2000:]}")


def kill_after(seconds: float, command: str, directory: Path) -> bool:
    """Starts a stage and kills it; False if it had ended before."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(_arguments(command), cwd=ROOT, env=_environment(directory), **quiet)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True


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


def _arguments(command: str) -> list[str]:
    return [sys.executable, *command.split(), *COMMON.split()]


def _environment(directory: Path) -> dict[str, str]:
    return {**os.environ, "ADAPLER_DIRECTORY": str(directory)}


if __name__ == "__main__":
    run_program("inject_faults", __doc__, inject)
