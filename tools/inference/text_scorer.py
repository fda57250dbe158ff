"""Scoring of batches of columns with an exported model, for engines that map a function over a data set."""

from __future__ import annotations

import numpy as np

from tools.inference.onnx_predictor import OnnxPredictor


class TextScorer:
    """Adds label, score and lengths to a batch of texts; plain arrays in and out, so that any engine can call it.

    Args:
        text_columns: one or two of the batch's columns.
        settings: arguments of OnnxPredictor.
    """

    def __init__(self, text_columns: list[str], **settings):
        self.text_columns, self.predictor = text_columns, OnnxPredictor(**settings)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays [rows] of text columns and any others -> the others, label [rows], score [rows], lengths [rows, L]."""
        texts = [batch[column] for column in self.text_columns]
        answers = self.predictor(list(texts[0]) if len(texts) == 1 else list(zip(*texts, strict=True)))
        others = {name: values for name, values in batch.items() if name not in self.text_columns}
        return others | {
            "label": np.array([answer["label"] for answer in answers]),
            "score": np.array([answer["score"] for answer in answers], np.float32),
            "lengths": np.array([answer["lengths"] for answer in answers], np.int32),
        }
