"""int8 keeps the score of float32 on a task's dev set: layers that hurt stay in float32."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir

from models import TFAdapLeRForSequenceClassification
from models.adapler_config import AdapLeRConfig
from models.text_predictor import as_arrays
from tools.common.errors import UserError
from tools.data.rows import DataOptions, load_rows
from tools.evaluation.intervals import paired_difference
from tools.inference.onnx_graph import ModelGraph
from tools.inference.onnx_predictor import MODEL_FILES, OnnxPredictor
from tools.inference.onnx_quantisation import int8_except
from tools.runtime.arguments import HeldOutTaskArguments
from tools.runtime.run import make_task

ALLOWED_LOSS = 0.005
"""What int8 may lose against float32: the lower end of the difference's 95 % interval is above its negative."""

BATCH_SIZE = 32
RANKED_TEXTS = 256
"""Texts by whose logits the layers are ranked."""


@dataclass
class DevSet:
    """Labelled texts; `labels` is [N]."""

    task: str
    metric: str
    texts: list[str | tuple[str, str]]
    labels: np.ndarray


def load_dev_set(arguments: HeldOutTaskArguments, limit: int | None, config: AdapLeRConfig) -> DevSet:
    """The validation split of a task.

    Args:
        limit: most examples.
        config: the model's.

    Raises:
        UserError: it cannot be read, has hidden labels, is scored by windows, or the model is of another task.
    """
    task = make_task(arguments)
    if task.windowed:
        raise UserError(
            f"--TASK {task.name} is scored by windows of its documents, int8 is on whole texts; leave it out"
        )
    if task.outputs != config.num_labels:
        raise UserError(f"--TASK {task.name} has {task.outputs} outputs, the model has {config.num_labels}")
    if config.text_columns not in (None, list(task.text_columns)):
        columns = " and ".join(task.text_columns), " and ".join(config.text_columns)
        raise UserError(f"--TASK {task.name} has texts in {columns[0]}, the model was trained on {columns[1]}")
    names, known = list(task.label_names), list(config.id2label.values())
    if names and names != known and not known[0].startswith("LABEL_"):
        raise UserError(f"--TASK {task.name} has the labels {', '.join(names)}, the model has {', '.join(known)}")
    rows = load_rows(task, "validation", DataOptions(arguments.data_dir, max_eval_examples=limit))
    texts = list(zip(*(rows[column][:] for column in task.text_columns), strict=True))
    texts = [text if len(text) == 2 else text[0] for text in texts]
    labels = np.array(rows["label"][:])
    if (labels < 0).any():
        raise UserError(f"--TASK {task.name}: {(labels < 0).sum()} validation labels are hidden (-1); leave it out")
    return DevSet(task.name, task.metrics[0], texts, labels)


def write_int8(
    model: TFAdapLeRForSequenceClassification, directory: Path, contributions: bool, dev: DevSet | None
) -> dict | None:
    """Writes the int8 graph beside the float32 one, with as many layers in int8 as the score allows.

    Args:
        directory: an exported model without its int8 file.
        dev: where the score is compared; None: all layers are in int8.

    Returns:
        task, metric, examples, difference, low and high of the comparison, and float32_layers, the layers from 0 that
        stay in float32; None without a dev set.
    """

    def write(float32_layers: Collection[int]) -> None:
        graph = ModelGraph(model, int8_except(float32_layers), contributions)
        onnx_ir.save(graph.build(), directory / MODEL_FILES["int8"])

    def logits(precision: str, texts: list) -> np.ndarray:
        predictor = OnnxPredictor(directory, precision=precision)
        starts = range(0, len(texts), BATCH_SIZE)
        batches = (as_arrays(predictor.encode(texts[start : start + BATCH_SIZE])) for start in starts)
        return np.concatenate([predictor.run(batch)["logits"] for batch in batches])

    def harm(layer: int) -> float:
        write([other for other in layers if other != layer])
        return float(np.abs(logits("int8", dev.texts[:RANKED_TEXTS]) - expected[:RANKED_TEXTS]).mean())

    write([])
    if dev is None:
        return None
    layers = range(model.config.num_hidden_layers)
    expected = logits("float32", dev.texts)
    difference = paired_difference(dev.metric, dev.labels, expected, logits("int8", dev.texts))
    float32_layers: list[int] = []
    if difference["low"] <= -ALLOWED_LOSS:
        ranking = sorted(layers, key=harm, reverse=True)
        for count in range(1, len(layers) + 1):
            float32_layers = sorted(ranking[:count])
            write(float32_layers)
            difference = paired_difference(dev.metric, dev.labels, expected, logits("int8", dev.texts))
            if difference["low"] > -ALLOWED_LOSS:
                break
    record = {"task": dev.task, "metric": dev.metric, "examples": len(dev.texts)}
    return record | difference | {"float32_layers": float32_layers}


def describe(record: dict | None) -> str:
    """The comparison as sentences."""
    if record is None:
        return "Its score was not compared with that of float32; the export does it with --TASK."
    layers = ", ".join(map(str, record["float32_layers"]))
    reason = f"in int8, they could cost {100 * ALLOWED_LOSS:g} points or more"
    kept = f"Layers {layers} (counted from 0) stay in float32: {reason}" if layers else "All layers are int8"
    if record["low"] <= -ALLOWED_LOSS:
        kept += f". Even so, int8 could cost {100 * ALLOWED_LOSS:g} points or more: use {MODEL_FILES['float32']}"
    return (
        f"Against float32, its {record['metric']} on {record['examples']} validation examples of {record['task']} "
        f"changes by {record['difference']:+.4f} (95 %: {record['low']:+.4f} to {record['high']:+.4f}). {kept}."
    )
