"""Shows which tokens of a text each layer still runs on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

DROPPED = "·"


def dropped_per_layer(model, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> str:
    """One line a layer: the input's tokens, with a dot in place of each dropped one."""
    encoded = tokenizer(*texts, truncation=True, max_length=max_length, return_tensors="tf")
    outputs = model(encoded, lr_mode=True)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].numpy())
    lines = [f"input ({len(tokens):3d}): {' '.join(tokens)}"]
    for number, kept in enumerate(outputs.kept_positions, start=1):
        positions = set(kept[0].numpy().tolist())
        shown = [token if place in positions else DROPPED for place, token in enumerate(tokens)]
        lines.append(f"{number:5d} ({len(positions):3d}): {' '.join(shown)}")
    label = model.config.id2label[int(np.argmax(outputs.logits[0]))]
    return "\n".join([*lines, f"prediction: {label}"])
