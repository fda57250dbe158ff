"""From raw texts to labels with an exported model, on ONNX Runtime: no TensorFlow and no transformers."""

from __future__ import annotations

import json
import math
import numbers
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from tools.common.errors import UserError
from tools.common.modules import import_alone

TextPredictor = import_alone("models.text_predictor").TextPredictor  # models imports TensorFlow

MODEL_FILES = {"float32": "model.onnx", "int8": "model.int8.onnx"}
"""Precision -> file of an exported directory."""


class OnnxPredictor(TextPredictor):
    """Classifies texts as `models.AdapLeRPredictor` does.

    Args:
        directory: what `python -m tools.inference.export_onnx` wrote.
        batch_size: texts that run together.
        eta_scale: factor on every threshold, more than 1 is faster (default: the model's own).
        precision: "float32" or "int8".
        threads: threads of an operator; 0 for one a core.

    Raises:
        UserError: `directory` is no exported model, ONNX Runtime cannot run it, or a setting is out of range.
        ValueError: batch_size is less than 1.

    Example:
        predictor = OnnxPredictor("path/to/exported", precision="int8")
        predictor(["a text", "another"])  # [{"label": "positive", "score": 0.98, "lengths": [4, 3, 3]}, ...]
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        batch_size: int = 32,
        eta_scale: float | None = None,
        precision: str = "float32",
        threads: int = 0,
    ):
        super().__init__(batch_size)
        if precision not in MODEL_FILES:
            raise UserError(f"precision is '{precision}', it can be {' or '.join(MODEL_FILES)}")
        directory = Path(directory)
        try:
            self.config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
            self.id2label = {int(number): label for number, label in self.config["id2label"].items()}
            self.text_columns = self.config["text_columns"]
            self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
            self.tokenizer.no_padding()
        except Exception as error:  # tokenizers raises no narrower class
            raise UserError(f"{directory} is not a directory that export_onnx wrote: {error}") from error
        self.session = _load_session(directory / MODEL_FILES[precision], threads)
        self.eta_scale = None if eta_scale is None else self._checked_eta_scale(eta_scale)

    def encode(self, texts: list[str | tuple[str, str]]) -> list[Encoding]:
        return self.tokenizer.encode_batch(texts)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As `TextPredictor.run`; also contributions, float32 [batch, layers, length], if they were exported.

        Raises:
            UserError: the mask hides [CLS], an input is too long, or an id is out of range.
        """
        arrays = {name: np.asarray(values, np.int64) for name, values in inputs.items()}
        self._check_inputs(**arrays)
        if self.eta_scale is not None:
            arrays["eta_scale"] = self.eta_scale
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, arrays), strict=True))

    def _checked_eta_scale(self, eta_scale: float) -> np.ndarray:
        if not self.config["adapler"]:
            raise UserError("eta_scale needs an AdapLeR; this model is a plain BERT, which has no thresholds")
        is_number = isinstance(eta_scale, numbers.Real) and not isinstance(eta_scale, bool)
        if not is_number or not math.isfinite(eta_scale) or eta_scale < 0:
            raise UserError(f"eta_scale is {eta_scale!r}; it must be a finite number of at least 0")
        return np.array(eta_scale, np.float32)

    def _check_inputs(self, input_ids: np.ndarray, attention_mask: np.ndarray, token_type_ids: np.ndarray) -> None:
        """Refuses what the graph would answer with an index error or with nonsense."""
        shapes = {input_ids.shape, attention_mask.shape, token_type_ids.shape}
        if len(shapes) > 1 or input_ids.ndim != 2 or input_ids.size == 0:
            raise UserError(f"inputs must have one shape [batch, length] and hold tokens, got {sorted(shapes)}")
        if not (attention_mask[:, 0] > 0).all():
            raise UserError("position 0 of every example must be [CLS] with attention mask 1; pad on the right")
        if input_ids.shape[1] > self.config["max_position_embeddings"]:
            positions = self.config["max_position_embeddings"]
            raise UserError(f"an input of {input_ids.shape[1]} tokens is longer than the model's {positions} positions")
        sizes = (("token ids", input_ids, "vocab_size"), ("token type ids", token_type_ids, "type_vocab_size"))
        for kind, values, size in sizes:
            low, high = int(values.min()), int(values.max())
            if low < 0 or high >= self.config[size]:
                raise UserError(f"{kind} from {low} to {high} do not fit the model's {size} of {self.config[size]}")


def _load_session(file: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no warning that eta_scale can be overridden
    options.intra_op_num_threads = threads
    if not file.is_file():
        raise UserError(f"there is no {file}; python -m tools.inference.export_onnx writes it")
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's classes have no narrower base
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"ONNX Runtime {onnxruntime.__version__} cannot run {file}: {reason:.200}; "
            "install a newer onnxruntime, or export the model again"
        ) from error
