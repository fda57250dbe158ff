"""A tiny run whose stages are followed step by step: its settings, its rows, and what is computed for it by hand."""

import json
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from transformers import BertTokenizerFast

from tools.runtime.run import Run

ROWS = {"train": 11, "validation": 5, "test": 5}
BATCH, EPOCHS, SEED = 4, 4, 5
STEPS, WARMUP = EPOCHS * 3, 3  # 11 rows make 3 batches of 4; a quarter of the steps is warm-up
CLASS_WEIGHTS = (1.0, 3.0)
FINE_TUNED_SCORES = [0.2, 0.9, 0.5, 0.7]
GAMMA, PHI, ETA_INIT = 0.3, 0.02, 0.4
RATE, SPEEDUP_RATE = 0.01, 0.05
ETA = "bert/encoder/eta:0"
SCRIPT = [(0.9, 2.0), (0.9, 3.0), (0.895, 2.5), (0.5, 9.0)]
"""Dev score and speedup that the epochs of stage 3 seem to have; the best fine-tuned epoch has 0.9."""


def training(epochs: int = EPOCHS, rate: float = RATE) -> str:
    return f"--EPOCHS {epochs} --LEARNING_RATE {rate} --WARMUP_RATIO 0.25"


def stage_3(place: str, epochs: int = EPOCHS) -> str:
    weights = f"--GAMMA {GAMMA} --PHI {PHI} --SPEEDUP_LEARNING_RATE {SPEEDUP_RATE} --ETA_INIT {ETA_INIT}"
    return f"{place} {training(epochs)} {weights}"


def scripted(script: list[tuple[float, float]]) -> Callable[..., dict]:
    """A summary of an evaluation that gives these scores and speedups, one after the other."""
    scores = iter(script)

    def summary(*_) -> dict:
        accuracy, speedup = next(scores)
        return {"accuracy": accuracy, "speedup": speedup, "mean_lengths": [1.0], "examples": 5}

    return summary


def rows_of(run: Run, split: str) -> tuple[list[list[int]], np.ndarray]:
    """Token ids and labels of a split's rows, in the order of the file."""
    folder = run.arguments.data_dir / run.arguments.task
    rows = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
    tokenizer = BertTokenizerFast.from_pretrained(run.backbone)
    return [tokenizer(row["sentence"])["input_ids"] for row in rows], np.array([row["label"] for row in rows])


def visited(steps, run: Run) -> list[int]:
    """The rows that the steps visited, in order."""
    tokens, _ = rows_of(run, "train")
    batches = [zip(s.inputs["input_ids"], s.inputs["attention_mask"], strict=True) for s in steps]
    return [tokens.index(ids[mask == 1].tolist()) for batch in batches for ids, mask in batch]


def forward(model, ids: list[int], **options):
    """A model's outputs for one example, without padding."""
    return model({"input_ids": tf.constant([ids]), "attention_mask": tf.ones([1, len(ids)], tf.int32)}, **options)


def saliency(model, ids: list[int], label: int) -> np.ndarray:
    """|| gradient of the gold logit with respect to the embeddings * embeddings ||, for one example."""
    embedded = model.bert.embeddings(tf.constant([ids]), None, tf.zeros([1, len(ids)], tf.int32))
    with tf.GradientTape() as tape:
        tape.watch(embedded)
        hidden = embedded
        for layer in model.bert.encoder.layer:
            hidden = layer(hidden, tf.zeros([1, 1, 1, len(ids)]), None, None, None, None, False)[0]
        gold = model.classifier(model.bert.pooler(hidden))[0, label]
    return np.linalg.norm((tape.gradient(gold, embedded) * embedded).numpy()[0], axis=-1)


# FLOPs of the tiny backbone by hand: 12 wide, 3 heads, 20 wide inside; a LayerNorm costs 8 per element and 2 more
HEAD_FLOPS = 2 * 12 * 12 + 12 + (2 * 12 + 1) * 2


def embedding_flops(n: np.ndarray) -> np.ndarray:
    return (8 * 12 + 2) * n + 2 * n


def layer_flops(n: np.ndarray) -> np.ndarray:
    dense = 4 * (2 * 12 * 12 + 12) * n + (2 * 12 * 20 + 20) * n + (2 * 20 * 12 + 12) * n
    attention = 2 * (2 * 12 * n**2) + 7 * 3 * n**2
    return dense + attention + 3 * 20 * n + 2 * (8 * 12 + 2) * n


def predictor_flops(n: np.ndarray) -> np.ndarray:
    return (2 * 12 * 32 + 32) * n + 3 * 32 * n + (2 * 32 + 1) * n + 13 * n


def speedup_by_hand(lengths: np.ndarray) -> float:
    """BERT's FLOPs over AdapLeR's, of the lengths of the input and of each layer, [N, 4]."""
    plain = embedding_flops(lengths[:, 0]) + 3 * layer_flops(lengths[:, 0]) + HEAD_FLOPS
    reduced = embedding_flops(lengths[:, 0]) + 4 * lengths[:, 0] + HEAD_FLOPS
    for layer in range(3):
        reduced += predictor_flops(lengths[:, layer]) + layer_flops(lengths[:, layer + 1])
    return plain.sum() / reduced.sum()
