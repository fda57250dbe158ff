"""Starts an engine in a process of its own and measures what a user waits for: the time until the first answer.

`measure` runs this file as a program:

    python -m tools.benchmarks.first_answer ENGINE PRECISION MODEL TOKENIZER TEXTS

MODEL is a save_pretrained directory or an ONNX file, TOKENIZER a tokenizer.json for the latter, and TEXTS a JSON file.
Prints a line when the first text is answered, then the peak memory in MiB once all texts have run as one batch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools.benchmarks.memory import mebibytes_at_peak
from tools.common.modules import import_alone
from tools.common.paths import ROOT


def measure(engine: str, precision: str, model: Path, tokenizer: Path, texts: Path) -> dict[str, float]:
    """Seconds from the start of a process to its first answer, and its peak memory, in MiB, after one batch.

    Raises:
        RuntimeError: the process failed; its error is on standard error.
    """
    command = [sys.executable, "-m", "tools.benchmarks.first_answer", engine, precision, model, tokenizer, texts]
    quiet = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.perf_counter()
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, cwd=ROOT, env=quiet) as process:
        process.stdout.readline()
        seconds = time.perf_counter() - start
        megabytes = process.stdout.read().strip()
    if process.returncode:
        raise RuntimeError(f"{model} gave no answer in {engine}")
    return {"startup_seconds": seconds, "memory_mb": float(megabytes)}


def load_tensorflow(precision: str, model: str) -> Callable[[list], object]:
    """A function that classifies a batch of texts."""
    import tf_keras as keras

    from models import AdapLeRPredictor

    if precision == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    return AdapLeRPredictor(model)


def load_onnx(model: str, tokenizer: str) -> Callable[[list], object]:
    """As `load_tensorflow`."""
    import onnxruntime
    from tokenizers import Tokenizer

    as_arrays = import_alone("models.text_predictor").as_arrays
    encoder = Tokenizer.from_file(tokenizer)
    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def run(texts: list) -> list:
        return session.run(["logits"], as_arrays(encoder.encode_batch(texts)))

    return run


def main(engine: str, precision: str, model: str, tokenizer: str, texts: str) -> None:
    contents = json.loads(Path(texts).read_text(encoding="utf-8"))
    run = load_tensorflow(precision, model) if engine == "TensorFlow" else load_onnx(model, tokenizer)
    run(contents[:1])
    print("answered", flush=True)
    run(contents)
    print(mebibytes_at_peak())


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
