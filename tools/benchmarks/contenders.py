"""Trained models of one task, each in an engine and a precision, ready to run and to be timed."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tf_keras as keras
from transformers import BertConfig

from tools.benchmarks.onnx_models import onnx_run, onnx_session, write_padded
from tools.benchmarks.variants import POLICIES, RunFunction, lr_mode_graph, plain_graph
from tools.data.examples import Examples
from tools.flops.formulas import adapler_flops, bert_flops
from tools.inference.export_onnx import write_graphs, write_tokenizer
from tools.inference.onnx_predictor import MODEL_FILES
from tools.runtime import fine_tuning_log, run_record
from tools.runtime.batches import collect_results
from tools.runtime.checkpoints import load_model, load_saved, load_tokenizer, model_directory, save_directory
from tools.runtime.run import Run
from tools.training.plan_alternatives import Alternative, alternatives

TENSORFLOW, ONNX = "TensorFlow", "ONNX Runtime"

SHARED = ("max_train_examples", "max_eval_examples", "split_by_body", "hold_out", "epochs", "learning_rate")
"""Settings of stage 1 in which an alternative is trained as the compared model."""


@dataclass(frozen=True)
class Contender:
    """A model in an engine.

    Attributes:
        method, setting, engine, precision: what it is, as in the result file.
        config: the model's.
        max_length: most tokens of an example.
        run: runs a batch.
        model: save_pretrained directory, or ONNX file.
        tokenizer: tokenizer.json for an ONNX file.
    """

    method: str
    setting: str
    engine: str
    precision: str
    config: BertConfig
    max_length: int
    run: RunFunction
    model: Path
    tokenizer: Path

    @property
    def labels(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ("method", "setting", "engine", "precision")}

    @property
    def name(self) -> str:
        return ", ".join(filter(None, self.labels.values()))

    @property
    def is_main(self) -> bool:
        """Whether it is the fine-tuned model or the AdapLeR at its own speed."""
        return not self.setting

    @property
    def megabytes(self) -> float:
        """Size of the file of weights."""
        file = self.model / "tf_model.h5" if self.model.is_dir() else self.model
        return file.stat().st_size / 1e6

    def predict(self, examples: Examples, batch_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits [N, labels], tokens of the input and of each layer [N, L+1], and FLOPs [N] of the examples."""
        rows = collect_results(lambda inputs, _: self.run(inputs), examples, batch_size, self.name)
        logits, *lengths = (np.stack(column) for column in zip(*rows, strict=True))
        if not lengths:
            tokens = np.repeat(examples.lengths[:, np.newaxis], self.config.num_hidden_layers + 1, axis=1)
            return logits, tokens, bert_flops(self.config, examples.lengths)
        tokens = np.column_stack([examples.lengths, lengths[0]])
        return logits, tokens, adapler_flops(self.config, tokens)


def make_contenders(run: Run, directory: Path) -> tuple[list[Contender], dict[str, str]]:
    """Every contender, the fine-tuned float32 model in TensorFlow first, and what is left out: name -> why.

    Args:
        run: its MODEL_PATH is the AdapLeR.
        directory: exported models are written here.
    """
    adapler = model_directory(run.arguments.model_path)
    epoch = fine_tuning_log.best_epochs(run.task, fine_tuning_log.read(run.task, run.paths))[0]
    fine_tuned = load_model(run.paths.fine_tuned(epoch), run.backbone, run.task, run.max_length, converted=False)
    plain = directory / "plain"
    save_directory(fine_tuned, load_tokenizer(str(adapler)), plain)
    contenders = tensorflow_contenders(plain, adapler)
    contenders += plain_contenders(("BERT", ""), fine_tuned, directory / "bert", adapler)
    contenders += adapler_contenders(adapler, run.arguments.scales, directory / "adapler")
    left_out = {}
    for alternative in alternatives(run):
        name, reason = alternative.paths.name, why_left_out(run, alternative)
        if reason:
            left_out[name] = reason
        else:
            labels, model = (alternative.method, alternative.setting), load_alternative(run, alternative)
            contenders += plain_contenders(labels, model, directory / name, adapler)
    return contenders, left_out


def tensorflow_contenders(plain: Path, adapler: Path) -> list[Contender]:
    """The fine-tuned model and the AdapLeR; in bfloat16 too if the processor computes in it."""
    processor = Path("/proc/cpuinfo").read_text()
    is_fast = "avx512_bf16" in processor or "amx_bf16" in processor
    contenders = []
    for precision in POLICIES if is_fast else ["float32"]:
        keras.mixed_precision.set_global_policy(POLICIES[precision])
        for method, source, make_run in (("BERT", plain, plain_graph), ("AdapLeR", adapler, lr_mode_graph)):
            model = load_saved(source)
            labels = method, "", TENSORFLOW, precision
            contenders.append(
                Contender(
                    *labels, model.config, model.longest_input, make_run(model), source, source / "tokenizer.json"
                )
            )
    keras.mixed_precision.set_global_policy("float32")
    return contenders


def adapler_contenders(adapler: Path, scales: list[float], directory: Path) -> list[Contender]:
    """The exported AdapLeR in float32 and int8, at its own speed and at further factors on eta."""
    directory.mkdir()
    model = load_saved(adapler)
    write_tokenizer(load_tokenizer(str(adapler)), model.longest_input, directory)
    write_graphs(model, directory, contributions=False)
    runs = {precision: onnx_run(onnx_session(directory / file)) for precision, file in MODEL_FILES.items()}
    contenders = []
    for scale in [None, *scales]:
        setting = "" if scale is None else f"eta_scale {scale:g}"
        for precision, run in runs.items():
            labels = "AdapLeR", setting, ONNX, precision
            files = directory / MODEL_FILES[precision], directory / "tokenizer.json"
            scaled = functools.partial(run, eta_scale=scale)
            contenders.append(Contender(*labels, model.config, model.longest_input, scaled, *files))
    return contenders


def plain_contenders(labels: tuple[str, str], model, directory: Path, tokenizer: Path) -> list[Contender]:
    """A plain model on padded batches in float32 and int8; `tokenizer` is the directory of its tokenizer."""
    directory.mkdir()
    write_tokenizer(load_tokenizer(str(tokenizer)), model.longest_input, directory)
    contenders = []
    for precision, file in write_padded(model, directory).items():
        run = onnx_run(onnx_session(file))
        files = file, directory / "tokenizer.json"
        contenders.append(Contender(*labels, ONNX, precision, model.config, model.longest_input, run, *files))
    return contenders


def why_left_out(run: Run, alternative: Alternative) -> str | None:
    """Why an alternative cannot be compared; None if it was trained to the end, as the fine-tuned model was."""
    ours, compared = (
        run_record.read(paths.run_folder("fine_tune") / "run.json") for paths in (alternative.paths, run.paths)
    )
    if ours["exit"] is None:
        return "it was not trained"
    if ours["exit"] != run_record.FINISHED:
        return f"its training did not finish: {ours['exit']}"
    if not compared["settings"]:
        return "the compared run has no run.json of stage 1, whose settings it must share"
    for name in SHARED:
        value, expected = ours["settings"].get(name), compared["settings"].get(name)
        if value != expected:
            return f"it was trained with --{name.upper()} {value}, the compared run with {expected}"
    return None


def load_alternative(run: Run, alternative: Alternative):
    """The model of an alternative's best epoch."""
    epoch = fine_tuning_log.best_epochs(run.task, fine_tuning_log.read(run.task, alternative.paths))[0]
    weights = alternative.paths.fine_tuned(epoch)
    return load_model(weights, alternative.backbone, run.task, alternative.max_length, converted=False)
