"""Classification of raw texts with a saved model."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf
from transformers import AutoTokenizer

from models.adapler_bert import TFAdapLeRForSequenceClassification
from models.adapler_config import checked

Text = str | tuple[str, str] | Mapping[str, str]


class AdapLeRPredictor:
    """Classifies texts with a saved model; a converted model drops tokens.

    Args:
        model_dir: a directory written by `save_pretrained` that also contains the tokenizer's files.
        batch_size: number of texts per batch.
        eta_scale: factor on every threshold, at least 0; more than 1 is faster (default: the config's).

    Raises:
        ValueError: eta_scale is negative or not finite.

    Example:
        predictor = AdapLeRPredictor("path/to/model")
        predictor(["a text", "another"])  # [{"label": "positive", "score": 0.98, "lengths": [4, 3, 3]}, ...]
    """

    BATCHES_AHEAD = 8
    """Number of batches of texts that are read together and sorted by length."""

    def __init__(self, model_dir: str | os.PathLike, batch_size: int = 32, eta_scale: float | None = None):
        self.tokenizer = AutoTokenizer.from_pretrained(model_dir)
        self.model = TFAdapLeRForSequenceClassification.from_pretrained(model_dir)
        self.batch_size = batch_size
        self.eta_scale = None if eta_scale is None else checked("eta_scale", eta_scale)

    def __call__(self, texts: Text | Iterable[Text], spans: bool = False) -> list[dict]:
        """Returns the answer to each text, in order.

        Args:
            texts: an iterable of texts, or one string or dict. A text is a string, a dict with "text" and optionally
                "text_pair", or a pair of strings as a tuple or list.
            spans: also return the characters that each layer ran on.

        Returns:
            dicts of `label`, `score` (the label's probability; the value itself for a regression) and `lengths`,
            the tokens that each layer ran on; with `spans`, also `spans`: for each layer, (start, end) in characters of
            each remaining word piece, or (0 or 1, start, end) in a pair.

        Raises:
            ValueError: a text has another form, or another number of texts than the model was trained on; or `texts`
                is a tuple of two strings, which can mean two texts or one pair.
        """
        return list(self.stream(texts, spans))

    def stream(self, texts: Text | Iterable[Text], spans: bool = False) -> Iterator[dict]:
        """Yields the answers of a call, for inputs that do not fit into memory: reads and answers part by part."""
        if isinstance(texts, tuple) and len(texts) == 2 and all(isinstance(text, str) for text in texts):
            first, second = (f"{text!r:.40}" for text in texts)
            raise ValueError(
                f"a tuple of two strings has two meanings: give [{first}, {second}] for two texts or "
                f"[({first}, {second})] for one pair"
            )
        texts = iter([texts] if isinstance(texts, str | Mapping) else texts)
        while part := list(itertools.islice(texts, self.batch_size * self.BATCHES_AHEAD)):
            yield from self._answer(part, spans)

    def _answer(self, texts: list[Text], spans: bool) -> list[dict]:
        texts = [self._checked(text) for text in texts]
        encoded = self.tokenizer.batch_encode_plus(
            texts,
            truncation=True,
            max_length=self.model.longest_input,
            return_offsets_mapping=spans,
        )
        offsets = encoded.pop("offset_mapping", None)
        by_length = np.argsort([len(ids) for ids in encoded["input_ids"]], kind="stable")
        answers: list[dict] = [{}] * len(texts)
        for start in range(0, len(texts), self.batch_size):
            chosen = by_length[start : start + self.batch_size]
            batch = {name: [values[i] for i in chosen] for name, values in encoded.items()}
            inputs = self.tokenizer.pad(batch, return_tensors="np")
            for place, answer, kept in zip(chosen, *self._run(inputs), strict=True):
                answers[place] = answer
                if spans:
                    pair = not isinstance(texts[place], str)
                    found = _character_spans(encoded.sequence_ids(int(place)), offsets[place], pair)
                    answer["spans"] = [[found[at] for at in layer if at in found] for layer in kept]
        return answers

    def _checked(self, text: Text) -> str | tuple[str, str]:
        """Returns a text as a string or a pair of strings."""
        parts = text
        if isinstance(text, str):
            parts = [text]
        elif isinstance(text, Mapping) and text.keys() <= {"text", "text_pair"}:
            is_pair = text.get("text_pair") is not None
            parts = [text.get("text"), text["text_pair"]] if is_pair else [text.get("text")]
        elif not isinstance(text, tuple | list) or len(text) != 2:
            parts = [None]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError(
                f'a string, a pair of strings or a dict of "text" and "text_pair" is expected, got {text!r:.100}'
            )
        columns = self.model.config.text_columns or parts
        if len(parts) != len(columns):
            raise ValueError(
                f"the model was trained on {len(columns)} text(s) per example ({', '.join(columns)}), "
                f"got {len(parts)}: {text!r:.100}"
            )
        return parts[0] if len(parts) == 1 else tuple(parts)

    def _run(self, inputs: dict[str, np.ndarray]) -> tuple[list[dict], list[list]]:
        """Returns the answers of one batch, and for each example the remaining positions of each layer."""
        config = self.model.config
        inputs = {name: tf.constant(values, tf.int32) for name, values in inputs.items()}
        if self.model.is_adapler:
            outputs = self.model(inputs, lr_mode=True, eta_scale=self.eta_scale)
            lengths = np.stack(outputs.lengths, axis=1).astype(int)
            kept = list(zip(*(layer.to_list() for layer in outputs.kept_positions), strict=True))
        else:
            outputs = self.model(inputs)
            tokens = inputs["attention_mask"].numpy().sum(axis=1)
            lengths = np.repeat(tokens[:, np.newaxis], config.num_hidden_layers, axis=1)
            kept = [[range(length)] * config.num_hidden_layers for length in tokens]
        logits = outputs.logits.numpy()
        scores = logits if config.num_labels == 1 else tf.nn.softmax(logits).numpy()
        answers = [
            {"label": config.id2label[int(best)], "score": float(row[best]), "lengths": layers.tolist()}
            for row, best, layers in zip(scores, logits.argmax(axis=1), lengths, strict=True)
        ]
        return answers, kept


def _character_spans(texts: list[int | None], offsets: list[tuple[int, int]], pair: bool) -> dict[int, tuple]:
    """Returns the characters of each token position, without special tokens."""
    return {
        position: (text, *span) if pair else tuple(span)
        for position, (text, span) in enumerate(zip(texts, offsets, strict=True))
        if text is not None
    }
