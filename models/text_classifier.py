"""Classification of raw texts with a saved model."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from models.adapler_bert import TFAdapLeRForSequenceClassification
from models.adapler_config import checked
from models.text_predictor import TextPredictor


class AdapLeRPredictor(TextPredictor):
    """Classifies texts with a saved model; a converted model drops tokens.

    Args:
        model_dir: a directory written by `save_pretrained` that also contains the tokenizer's files.
        batch_size: number of texts per batch.
        eta_scale: factor on every threshold, at least 0; more than 1 is faster (default: the config's).
        model, tokenizer: those of `model_dir`, if they are loaded already.

    Raises:
        ValueError: batch_size is less than 1, eta_scale is negative or not finite, or is given for a model that is not
            converted.

    Example:
        predictor = AdapLeRPredictor("path/to/model")
        predictor(["a text", "another"])  # [{"label": "positive", "score": 0.98, "lengths": [4, 3, 3]}, ...]
    """

    def __init__(
        self,
        model_dir: str | os.PathLike,
        batch_size: int = 32,
        eta_scale: float | None = None,
        *,
        model: TFAdapLeRForSequenceClassification | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ):
        super().__init__(batch_size)
        if tokenizer is None:
            tokenizer = AutoTokenizer.from_pretrained(model_dir)
        if model is None:
            model = TFAdapLeRForSequenceClassification.from_pretrained(model_dir)
        if eta_scale is not None and not model.is_adapler:
            raise ValueError("eta_scale needs an AdapLeR; this model is a plain BERT, which has no thresholds")
        self.tokenizer, self.model = tokenizer, model
        self.id2label, self.text_columns = self.model.config.id2label, self.model.config.text_columns
        self.eta_scale = None if eta_scale is None else checked("eta_scale", eta_scale)

    def encode(self, texts: list) -> list:
        return self.tokenizer.batch_encode_plus(texts, truncation=True, max_length=self.model.longest_input).encodings

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return run_model(self.model, inputs, self.eta_scale)


def run_model(
    model: TFAdapLeRForSequenceClassification, inputs: Mapping[str, np.ndarray], eta_scale: float | None = None
) -> dict[str, np.ndarray]:
    """Runs a model, in `lr_mode` if it is converted; arguments and result are those of `TextPredictor.run`.

    Args:
        eta_scale: factor on every threshold (default: the config's); a plain BERT has none.
    """
    inputs = {name: tf.constant(values, tf.int32) for name, values in inputs.items()}
    if model.is_adapler:
        outputs = model(inputs, lr_mode=True, eta_scale=eta_scale)
        kept = [layer.to_tensor(-1, shape=[None, inputs["input_ids"].shape[1]]) for layer in outputs.kept_positions]
        lengths = np.stack(outputs.lengths, axis=1).astype(int)
        return {"logits": outputs.logits.numpy(), "lengths": lengths, "kept_positions": np.stack(kept, axis=1)}
    visible = inputs["attention_mask"].numpy() > 0
    kept = np.where(visible, np.arange(visible.shape[1]), -1)
    lengths, kept = (
        np.repeat(values[:, np.newaxis], model.config.num_hidden_layers, axis=1)
        for values in (visible.sum(axis=1), kept)
    )
    return {"logits": model(inputs).logits.numpy(), "lengths": lengths, "kept_positions": kept}
