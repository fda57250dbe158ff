"""GLUE prediction files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tools.files import replacing


def write_predictions(file: Path, row_ids: np.ndarray, predictions: np.ndarray) -> None:
    """Writes the published format: a header, then index<TAB>prediction by rising index."""
    order = np.argsort(row_ids)
    lines = [f"{row_ids[i]}\t{predictions[i]}" for i in order]
    with replacing(file) as temporary:
        temporary.write_text("\n".join(["index\tprediction", *lines]) + "\n", encoding="utf-8")
