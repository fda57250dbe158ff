"""From raw texts to answers, whatever runs the model; imports neither TensorFlow nor transformers."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Encoding

Text = str | tuple[str, str] | Mapping[str, str]


class TextPredictor(ABC):
    """Classifies texts; a subclass tokenises them and runs the model.

    Attributes:
        batch_size: number of texts per batch.
        id2label: label id -> name.
        text_columns: names of the columns that the model was trained on, one or two; None if unknown.
        truncated: number of texts so far that were longer than the model's longest input, and were cut.
    """

    BATCHES_AHEAD = 8
    """Number of batches of texts that are read together and sorted by length."""

    id2label: Mapping[int, str]
    text_columns: list[str] | None

    def __init__(self, batch_size: int):
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.batch_size, self.truncated = batch_size, 0

    @abstractmethod
    def encode(self, texts: list[str | tuple[str, str]]) -> list[Encoding]:
        """Returns the tokens of each text, truncated and not padded."""

    @abstractmethod
    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the model on token ids.

        Args:
            inputs: input_ids, attention_mask and token_type_ids, integers [batch, length].

        Returns:
            logits float32 [batch, labels]; lengths integers [batch, layers], the tokens that each layer ran on; and
            kept_positions integers [batch, layers, length], the places of these tokens in the input, then -1.
        """

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
            ValueError: a text has another form, or another number of texts than the model was trained on; a text
                holds half of a character; or `texts` is a tuple of two strings, which can mean two texts or one pair.
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
            yield from self._answer([self._checked(text) for text in part], spans)

    def _answer(self, texts: list[str | tuple[str, str]], spans: bool) -> list[dict]:
        encodings = self.encode(texts)
        self.truncated += sum(bool(encoding.overflowing) for encoding in encodings)
        by_length = np.argsort([len(encoding) for encoding in encodings], kind="stable")
        answers: list[dict] = [{}] * len(texts)
        for start in range(0, len(texts), self.batch_size):
            chosen = by_length[start : start + self.batch_size]
            outputs = self.run(as_arrays([encodings[place] for place in chosen]))
            labels = _labels(outputs["logits"], self.id2label)
            rows = zip(chosen, labels, outputs["lengths"], outputs["kept_positions"], strict=True)
            for place, answer, lengths, kept in rows:
                answers[place] = answer | {"lengths": lengths.tolist()}
                if spans:
                    characters = _character_spans(encodings[place], pair=not isinstance(texts[place], str))
                    answers[place]["spans"] = [[characters[i] for i in layer if i in characters] for layer in kept]
        return answers

    def _checked(self, text: Text) -> str | tuple[str, str]:
        """Returns a text as a string or a pair of strings."""
        parts = [text]
        if isinstance(text, tuple | list) and len(text) == 2:
            parts = list(text)
        elif isinstance(text, Mapping) and text.keys() <= {"text", "text_pair"}:
            is_pair = text.get("text_pair") is not None
            parts = [text.get("text"), text["text_pair"]] if is_pair else [text.get("text")]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError(
                f'a string, a pair of strings or a dict of "text" and "text_pair" is expected, got {text!r:.100}'
            )
        for part in parts:
            part.encode()  # half of a pair of surrogates is no character: UnicodeEncodeError, a ValueError
        columns = self.text_columns or parts
        if len(parts) != len(columns):
            raise ValueError(
                f"the model was trained on {len(columns)} text(s) per example ({', '.join(columns)}), "
                f"got {len(parts)}: {text!r:.100}"
            )
        return parts[0] if len(parts) == 1 else tuple(parts)


def as_arrays(encodings: list[Encoding]) -> dict[str, np.ndarray]:
    """Encodings, padded on the right, as the inputs of `TextPredictor.run`."""
    width = max(len(encoding) for encoding in encodings)
    for encoding in encodings:
        encoding.pad(width)
    return {
        "input_ids": np.array([encoding.ids for encoding in encodings]),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
        "token_type_ids": np.array([encoding.type_ids for encoding in encodings]),
    }


def _labels(logits: np.ndarray, names: Mapping[int, str]) -> list[dict]:
    """Returns label and score of each row of logits [batch, labels]."""
    scores = logits
    if logits.shape[1] > 1:
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = weights / weights.sum(axis=1, keepdims=True)
    best = logits.argmax(axis=1)
    return [{"label": names[int(i)], "score": float(row[i])} for row, i in zip(scores, best, strict=True)]


def _character_spans(encoding: Encoding, pair: bool) -> dict[int, tuple]:
    """Returns the characters of each token position, without special tokens."""
    return {
        position: (text, *span) if pair else span
        for position, (text, span) in enumerate(zip(encoding.sequence_ids, encoding.offsets, strict=True))
        if text is not None
    }
