"""A tiny backbone, a tiny task, and commands run as people run them, or in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import shlex
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras
from transformers import BertTokenizerFast

from tests import tiny
from tools.common.paths import ROOT

WORDS = ["good", "bad", "film", "a", "very", "the", "plot", "was", "seen", "it"]
NAME = "tiny_bert"


def write_backbone(directory: Path, **config) -> Path:
    """Writes a BERT of three layers, with random weights, and its tokenizer."""
    directory.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (directory / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(str(directory / "vocab.txt")).save_pretrained(directory)
    sizes = {"vocab_size": len(words), "num_labels": 2, "initializer_range": 0.1, **config}
    model = tiny.make_model(converted=False, **sizes)
    model.save_pretrained(directory)
    return directory


def write_sst2(directory: Path) -> Path:
    """Writes a data set in SST-2's form; the first word of a sentence tells its label."""
    rng = np.random.default_rng(0)
    (directory / "sst2").mkdir(parents=True)
    for split, rows in (("train", 70), ("validation", 21), ("test", 13)):
        with open(directory / "sst2" / f"{split}.jsonl", "w") as file:
            for index in range(rows):
                words = rng.choice(WORDS[2:], rng.integers(2, 9)).tolist()
                label = int(rng.integers(2))
                words.insert(0, WORDS[1 - label])
                row = {"sentence": " ".join(words), "label": -1 if split == "test" else label, "idx": index}
                file.write(json.dumps(row) + "\n")
    return directory


def run(command: str, **environment) -> subprocess.CompletedProcess:
    """Runs a shell command in the project's root, with this environment's Python."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        command,
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, **environment},
    )


def run_here(command: str) -> subprocess.CompletedProcess:
    """Runs `python script.py ...` or `python -m module ...` in this process, which has imported TensorFlow already."""
    _, *words = shlex.split(command)
    is_module = words[0] == "-m"
    name, *arguments = words[1:] if is_module else words
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    output, errors, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # runpy's, of a module that is imported already
        patch.setattr("sys.argv", [name, *arguments])
        patch.setattr("sys.path", list(sys.path))
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                if is_module:
                    runpy.run_module(name, run_name="__main__", alter_sys=True)  # dataclasses look there
                else:
                    runpy.run_path(str(ROOT / name), run_name="__main__")
            except SystemExit as exit_:
                code = exit_.code or 0
            finally:
                keras.backend.experimental.disable_tf_random_generator()  # as other tests in this process expect it
                for number, handler in handlers.items():
                    signal.signal(number, handler)
    return subprocess.CompletedProcess(command, code, output.getvalue(), errors.getvalue())
