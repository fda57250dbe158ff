"""Which words of a text each layer still runs on, with scores and places in the text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from transformers import PreTrainedTokenizerBase


def trace(model, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> dict:
    """Runs lr_mode on one example and follows its words.

    Args:
        texts: one text, or two of a pair.

    Returns:
        texts; label, score (its probability, or a regression's value); lengths, the tokens (word pieces and special
        ones) of the input and of each layer; and words, each with its text, place (`text` 0 or 1, `start` and `end` in
        characters), `alive` (by layer: whether a piece of it is left) and `contributions` (by layer: its best piece's,
        0 once it has gone).
    """
    encoded = tokenizer(*texts, truncation=True, max_length=max_length, return_offsets_mapping=True)
    offsets = encoded.pop("offset_mapping")
    inputs = {name: tf.constant([values], tf.int32) for name, values in encoded.items()}
    outputs = model(inputs, lr_mode=True)
    tokens = len(offsets)
    alive, contributions = by_token(outputs, 0, tokens)
    words: dict[tuple, dict] = {}
    for token, (start, end) in enumerate(offsets):
        word, text = encoded.word_ids(0)[token], encoded.sequence_ids(0)[token]
        if text is None:
            continue
        entry = words.setdefault(
            (text, word),
            {"text": text, "start": start, "end": end, "alive": alive[token] & False, "contributions": 0.0},
        )
        entry["end"] = end
        entry["alive"] = entry["alive"] | alive[token]
        entry["contributions"] = np.maximum(entry["contributions"], contributions[token])
    logits = outputs.logits[0].numpy()
    best = int(logits.argmax())
    return {
        "texts": list(texts),
        "label": model.config.id2label[best],
        "score": float(logits[0] if len(logits) == 1 else tf.nn.softmax(logits)[best]),
        "lengths": [tokens, *(int(length[0]) for length in outputs.lengths)],
        "words": [_as_json(entry, texts) for entry in words.values()],
    }


def by_token(outputs, row: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Of an example of lr_mode's outputs: whether each layer ran on each token, bool [n, L], and the token's
    contribution in each layer that it entered, float [n, L], elsewhere 0.

    Args:
        row: which example.
        tokens: n, how many it has.
    """
    layers = len(outputs.lengths)
    alive, contributions = np.zeros((tokens, layers), bool), np.zeros((tokens, layers))
    entering = np.arange(tokens)
    for layer, (shares, positions) in enumerate(zip(outputs.explanations, outputs.kept_positions, strict=True)):
        contributions[entering, layer] = shares[row].numpy()
        entering = positions[row].numpy()
        alive[entering, layer] = True
    return alive, contributions


def _as_json(entry: dict, texts: Sequence[str]) -> dict:
    return {
        "word": texts[entry["text"]][entry["start"] : entry["end"]],
        **{name: entry[name] for name in ("text", "start", "end")},
        "alive": entry["alive"].tolist(),
        "contributions": entry["contributions"].round(6).tolist(),
    }
