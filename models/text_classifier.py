"""From raw texts to labels with a saved model."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf
from transformers import AutoTokenizer

from models.adapler_bert import TFAdapLeRForSequenceClassification

Text = str | tuple[str, str]


class AdapLeRPredictor:
    """Classifies texts, each on as few tokens as its content allows.

    Args:
        model_dir: a directory written by `save_pretrained`, with the tokenizer's files in it.
        batch_size: texts that run together.
        eta_scale: factor on every threshold, more than 1 is faster (default: the config's).

    Example:
        predictor = AdapLeRPredictor("path/to/model")
        predictor(["a text", "another"])  # [{"label": "positive", "score": 0.98, "lengths": [4, 3, 3]}, ...]
    """

    BATCHES_AHEAD = 8
    """Batches' worth of texts that are read before they are sorted by length, and answered before the next are read."""

    def __init__(self, model_dir: str | os.PathLike, batch_size: int = 32, eta_scale: float | None = None):
        self.tokenizer = AutoTokenizer.from_pretrained(model_dir)
        self.model = TFAdapLeRForSequenceClassification.from_pretrained(model_dir)
        self.batch_size, self.eta_scale = batch_size, eta_scale

    def __call__(self, texts: str | Iterable[Text], spans: bool = False) -> list[dict]:
        """The answer to each text, in order.

        Args:
            texts: strings, pairs of strings, or one string.
            spans: also tell which characters each layer still ran on.

        Returns:
            dicts of `label`, `score` (the label's probability; the value itself for a regression) and `lengths`,
            the tokens that each layer ran on; with `spans`, also `spans`: for each layer, (start, end) in characters of
            each word piece that is left, or (0 or 1, start, end) in a pair.

        Raises:
            ValueError: a text is neither a string nor a pair of strings.
        """
        return list(self.stream([texts] if isinstance(texts, str) else texts, spans))

    def stream(self, texts: Iterable[Text], spans: bool = False) -> Iterator[dict]:
        """As calling it, for inputs that do not fit into memory: reads and answers them part by part."""
        texts = iter(texts)
        while part := list(itertools.islice(texts, self.batch_size * self.BATCHES_AHEAD)):
            yield from self._answer(part, spans)

    def _answer(self, texts: list[Text], spans: bool) -> list[dict]:
        encoded = self.tokenizer.batch_encode_plus(
            list(map(_checked, texts)),
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

    def _run(self, inputs: dict[str, np.ndarray]) -> tuple[list[dict], list[list]]:
        """Answers of one batch, and of each example the positions left at each layer."""
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


def _checked(text: Text) -> Text:
    if isinstance(text, str):
        return text
    if isinstance(text, tuple | list) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return tuple(text)
    raise ValueError(f"a string or a pair of strings is expected, got {text!r:.100}")


def _character_spans(texts: list[int | None], offsets: list[tuple[int, int]], pair: bool) -> dict[int, tuple]:
    """Token position -> its characters, special tokens left out."""
    return {
        position: (text, *span) if pair else tuple(span)
        for position, (text, span) in enumerate(zip(texts, offsets, strict=True))
        if text is not None
    }
