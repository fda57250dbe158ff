"""Whether an exported model answers as the TensorFlow model that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models import TFAdapLeRForSequenceClassification
from models.text_classifier import run_model
from models.text_predictor import Text, as_arrays
from tools.common.errors import UserError
from tools.evaluation.metrics import SAME_ROUNDED_VALUE, same_answers
from tools.inference.onnx_predictor import OnnxPredictor

BATCH_SIZE = 32
LOGIT_TOLERANCE = 1e-4
"""Allowed difference of a logit in float32; for the logits of a text above 1, relative to the largest."""

TIE = 1e-5
"""A text whose lengths in TensorFlow change with this relative change of eta is a tie: its lengths are not compared."""


def compare(model: TFAdapLeRForSequenceClassification, directory: Path, texts: Sequence[Text]) -> str:
    """Compares the float32 model's logits and lengths with lr_mode's, and counts the answers that int8 keeps.

    Args:
        directory: the exported model.

    Returns:
        what was compared and the largest difference, as a sentence.

    Raises:
        UserError: logits differ by more than LOGIT_TOLERANCE, or lengths differ, or every text is a tie.
    """
    float32, int8 = (OnnxPredictor(directory, precision=precision) for precision in ("float32", "int8"))
    largest, ties, same_in_int8 = 0.0, 0, 0
    for start in range(0, len(texts), BATCH_SIZE):
        inputs = as_arrays(float32.encode(texts[start : start + BATCH_SIZE]))
        outputs = float32.run(inputs)
        logits, lengths, tied = _expected(model, inputs)
        wrong = (outputs["lengths"] != lengths).any(axis=1) & ~tied
        difference = np.abs(outputs["logits"] - logits).max(axis=1)
        wrong |= ~tied & ~(difference <= LOGIT_TOLERANCE * np.maximum(np.abs(logits).max(axis=1), 1))
        if wrong.any():
            place = int(wrong.argmax())
            raise UserError(
                f"ONNX Runtime disagrees with TensorFlow on the text {texts[start + place]!r:.100}: lengths "
                f"{outputs['lengths'][place].tolist()} instead of {lengths[place].tolist()}, logits apart by "
                f"{difference[place]:.2g}; nothing was exported"
            )
        largest = max(largest, float(difference[~tied].max(initial=0)))
        ties += int(tied.sum())
        same_in_int8 += int(same_answers(logits, int8.run(inputs)["logits"], SAME_ROUNDED_VALUE).sum())
    if ties == len(texts):
        raise UserError(
            "no text was compared: in each, a token's contribution equals the threshold; name others: --TEXTS"
        )
    answer = f"value within {SAME_ROUNDED_VALUE}" if model.config.num_labels == 1 else "label"
    return (
        f"compared with TensorFlow on {len(texts) - ties} texts (left out {ties} ties): equal lengths, largest "
        f"difference of a logit {largest:.1e}; int8 gives the same {answer} on {same_in_int8} of {len(texts)}"
    )


def _expected(model, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """TensorFlow's logits [B, labels] and lengths [B, L], and which texts are ties, bool [B]."""
    below, exact, above = (run_model(model, inputs, model.eta_scale * factor) for factor in (1 - TIE, 1, 1 + TIE))
    return exact["logits"], exact["lengths"], (below["lengths"] != above["lengths"]).any(axis=1)


def random_texts(directory: Path, count: int = 16) -> list[Text]:
    """Texts of random words of an exported model's vocabulary, from 1 word to the longest input."""
    predictor = OnnxPredictor(directory)
    special = {token.content for token in predictor.tokenizer.get_added_tokens_decoder().values()}
    vocabulary = sorted(set(predictor.tokenizer.get_vocab()) - special)
    words = [token for token in vocabulary if token.isalnum()] or vocabulary
    rng = np.random.default_rng(0)
    lengths = np.linspace(1, predictor.config["max_length"], count).astype(int)
    texts = [" ".join(rng.choice(words, length)) for length in lengths]
    return list(zip(texts, reversed(texts), strict=True)) if len(predictor.text_columns or []) == 2 else texts
