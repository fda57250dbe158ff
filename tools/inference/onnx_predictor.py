"""From raw texts to labels with an exported model, on ONNX Runtime: no TensorFlow and no transformers."""

from __future__ import annotations

import itertools
import json
import math
import numbers
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from tools.common.errors import UserError

Text = str | tuple[str, str] | Mapping[str, str]

MODEL_FILES = {"float32": "model.onnx", "int8": "model.int8.onnx"}
"""Precision -> file of an exported directory."""


class OnnxPredictor:
    """Classifies texts as `models.AdapLeRPredictor` does.

    Args:
        directory: what `python -m tools.inference.export_onnx` wrote.
        batch_size: texts that run together.
        eta_scale: factor on every threshold, more than 1 is faster (default: the model's own).
        precision: "float32" or "int8".

    Raises:
        UserError: `directory` is no exported model, ONNX Runtime cannot run it, or a setting is out of range.

    Example:
        predictor = OnnxPredictor("path/to/exported", precision="int8")
        predictor(["a text", "another"])  # [{"label": "positive", "score": 0.98, "lengths": [4, 3, 3]}, ...]
    """

    BATCHES_AHEAD = 8
    """Batches of texts that are read before they are sorted by length, and answered before the next are read."""

    def __init__(
        self,
        directory: str | os.PathLike,
        batch_size: int = 32,
        eta_scale: float | None = None,
        precision: str = "float32",
    ):
        if precision not in MODEL_FILES:
            raise UserError(f"precision is '{precision}', it can be {' or '.join(MODEL_FILES)}")
        directory = Path(directory)
        try:
            self.config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
            self.id2label = {int(number): label for number, label in self.config["id2label"].items()}
            self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
            self.tokenizer.enable_truncation(self.config["max_length"])
            self.tokenizer.no_padding()
        except Exception as error:  # tokenizers raises no narrower class
            raise UserError(f"{directory} is not a directory that export_onnx wrote: {error}") from error
        self.session = _load_session(directory / MODEL_FILES[precision])
        self.batch_size = batch_size
        self.eta_scale = None if eta_scale is None else self._checked_eta_scale(eta_scale)

    def __call__(self, texts: Text | Iterable[Text], spans: bool = False) -> list[dict]:
        """The answer to each text, in order; arguments, answers and errors are those of `models.AdapLeRPredictor`."""
        return list(self.stream(texts, spans))

    def stream(self, texts: Text | Iterable[Text], spans: bool = False) -> Iterator[dict]:
        """As calling it, for inputs that do not fit into memory: reads and answers them part by part."""
        if isinstance(texts, tuple) and len(texts) == 2 and all(isinstance(text, str) for text in texts):
            first, second = (f"{text!r:.40}" for text in texts)
            raise ValueError(
                f"a tuple of two strings has two meanings: give [{first}, {second}] for two texts or "
                f"[({first}, {second})] for one pair"
            )
        texts = iter([texts] if isinstance(texts, str | Mapping) else texts)
        while part := list(itertools.islice(texts, self.batch_size * self.BATCHES_AHEAD)):
            yield from self._answer(part, spans)

    @property
    def takes_pairs(self) -> bool:
        """Whether the model was trained on pairs of texts."""
        return len(self.config["text_columns"] or ["text"]) == 2

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the model on token ids.

        Args:
            inputs: input_ids, attention_mask and token_type_ids, integers [batch, length].

        Returns:
            logits float32 [batch, labels], lengths int64 [batch, layers], kept_positions int64 [batch, layers, length],
            and contributions float32 [batch, layers, length] if they were exported.

        Raises:
            UserError: the mask hides [CLS], an input is too long, or an id is out of range.
        """
        arrays = {name: np.asarray(values, np.int64) for name, values in inputs.items()}
        self._check_inputs(**arrays)
        if self.eta_scale is not None:
            arrays["eta_scale"] = self.eta_scale
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, arrays), strict=True))

    def _answer(self, texts: list[Text], spans: bool) -> list[dict]:
        texts = [self._checked(text) for text in texts]
        encodings = self.tokenizer.encode_batch(texts)
        by_length = np.argsort([len(encoding) for encoding in encodings], kind="stable")
        answers: list[dict] = [{}] * len(texts)
        for start in range(0, len(texts), self.batch_size):
            chosen = by_length[start : start + self.batch_size]
            outputs = self.run(as_arrays([encodings[place] for place in chosen]))
            rows = zip(
                chosen, self._labels(outputs["logits"]), outputs["lengths"], outputs["kept_positions"], strict=True
            )
            for place, answer, lengths, kept in rows:
                answers[place] = answer | {"lengths": lengths.tolist()}
                if spans:
                    characters = _character_spans(encodings[place], pair=not isinstance(texts[place], str))
                    answers[place]["spans"] = [[characters[i] for i in layer if i in characters] for layer in kept]
        return answers

    def _checked(self, text: Text) -> str | tuple[str, str]:
        """A text as a string or a pair of strings."""
        parts = [text]
        if isinstance(text, tuple | list) and len(text) == 2:
            parts = list(text)
        elif isinstance(text, Mapping) and text.keys() <= {"text", "text_pair"}:
            parts = [text.get("text"), text["text_pair"]] if text.get("text_pair") is not None else [text.get("text")]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError(
                f'a string, a pair of strings or a dict of "text" and "text_pair" is expected, got {text!r:.100}'
            )
        columns = self.config["text_columns"] or parts
        if len(parts) != len(columns):
            raise ValueError(
                f"the model was trained on {len(columns)} text(s) per example ({', '.join(columns)}), "
                f"got {len(parts)}: {text!r:.100}"
            )
        return parts[0] if len(parts) == 1 else tuple(parts)

    def _labels(self, logits: np.ndarray) -> list[dict]:
        """Label and score of each row of logits [batch, labels]."""
        scores = logits
        if not self.config["regression"]:
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores = weights / weights.sum(axis=1, keepdims=True)
        best = logits.argmax(axis=1)
        return [{"label": self.id2label[int(i)], "score": float(row[i])} for row, i in zip(scores, best, strict=True)]

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


def as_arrays(encodings: list[Encoding]) -> dict[str, np.ndarray]:
    """Encodings, padded on the right, as the inputs of `OnnxPredictor.run`."""
    width = max(len(encoding) for encoding in encodings)
    for encoding in encodings:
        encoding.pad(width)
    return {
        "input_ids": np.array([encoding.ids for encoding in encodings]),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
        "token_type_ids": np.array([encoding.type_ids for encoding in encodings]),
    }


def _load_session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no warning that eta_scale can be overridden
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


def _character_spans(encoding: Encoding, pair: bool) -> dict[int, tuple]:
    """Token position -> its characters, special tokens left out."""
    return {
        position: (text, *span) if pair else span
        for position, (text, span) in enumerate(zip(encoding.sequence_ids, encoding.offsets, strict=True))
        if text is not None
    }
