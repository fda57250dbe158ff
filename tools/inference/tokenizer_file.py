"""The tokenizer of an exported model, for servers without transformers."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase


def write_tokenizer(tokenizer: PreTrainedTokenizerBase, max_length: int, directory: Path) -> None:
    """Writes tokenizer.json, set to truncate and to pad."""
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(max_length, direction=tokenizer.truncation_side)
    backend.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    backend.save(str(directory / "tokenizer.json"))
