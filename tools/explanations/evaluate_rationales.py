"""Compares the tokens that AdapLeR keeps with human rationales, and with other explanations of the fine-tuned BERT.

For tasks with human rationales (movie_rationales, hatexplain) or known ones (demo). MODEL_PATH is stage 3's AdapLeR;
the other methods explain stage 1's BERT of the best epoch. Words are compared, not word pieces: a word's score is that
of its best piece, and a word is kept if one of its pieces is. At each layer every method keeps as many words as AdapLeR
kept there. Writes logs/rationales_<model>_<split>.json.
"""

from __future__ import annotations

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["evaluate_rationales"], __doc__)  # before the imports that take seconds

import numpy as np
import pandas as pd

from tools.common.atomic_files import write_json
from tools.common.provenance import provenance
from tools.data.examples import Examples
from tools.data.loading import load_examples
from tools.explanations.rationale_metrics import agreement, by_word, highest, mean_with_interval, ranking
from tools.explanations.token_scores import METHODS, TokenScores, faithfulness, score_examples
from tools.results.tables import rationale_table
from tools.runtime.checkpoints import load_backbone, load_model, load_tokenizer, load_weights, weights_checksum
from tools.runtime.fine_tuning_log import best_epochs, read
from tools.runtime.run import Run
from tools.runtime.stage import run_stage


def evaluate_rationales(run: Run) -> None:
    arguments, task, paths = run.arguments, run.task, run.paths
    model_path, split, batch_size = arguments.model_path, arguments.split, arguments.batch_size
    tokenizer = load_tokenizer(run.backbone)
    adapler = load_model(model_path, run.backbone, task, run.max_length, converted=True)
    bert = load_backbone(run.backbone, task, run.max_length)
    load_weights(bert, paths.fine_tuned(arguments.epoch or best_epochs(task, read(task, paths))[0]))
    examples = load_examples(task, split, tokenizer, run.max_length, run.data_options, with_rationale=True)
    scored = score_examples(adapler, bert, examples, batch_size)
    model = model_path.name.removesuffix(".h5")
    conditions = {"task": task.name, "split": split, "backbone": paths.name, "seed": paths.seed, "model": model}
    conditions["weights"] = weights_checksum(model_path)
    sizes = {"max_length": run.max_length, "examples": len(examples)}
    metrics = compare(bert, examples, scored, batch_size)
    result = {"kind": "rationales", **conditions, **sizes, **provenance(), **metrics}
    for file in filter(None, (paths.rationales(model_path, split), arguments.save)):
        write_json(file, result)
    print(rationale_table(result))


def compare(bert, examples: Examples, scored: list[TokenScores], batch_size: int) -> dict:
    """Compares every method with the human rationales.

    Returns:
        `methods`: method -> metric -> mean with interval, at the last layer's number of words; `fpr_over_adapler`: by
        how much each other method's false positive rate exceeds AdapLeR's, example by example, mean with interval;
        `layers`: method -> a list of {metric: mean} by layer; `kept`: AdapLeR's mean share of words left by layer.
    """
    words = [np.array(row) for row in examples.word.to_list()]
    truths = [by_word(np.array(row), word) > 0 for row, word in zip(examples.rationale.to_list(), words, strict=True)]
    kept = [by_word(example.kept, word) > 0 for example, word in zip(scored, words, strict=True)]
    methods, layers, false_positives = {}, {}, pd.DataFrame()
    for method in METHODS:
        scores = [by_word(example.scores[method], word) for example, word in zip(scored, words, strict=True)]
        chosen = kept if method == "AdapLeR" else list(map(_highest_by_layer, scores, kept))
        agreements = [_agreements(chosen, truths, layer) for layer in range(len(kept[0]))]
        tokens = [np.isin(word, np.unique(word[word >= 0])[rows[-1]]) for word, rows in zip(words, chosen, strict=True)]
        rankings = pd.DataFrame(list(map(ranking, scores, truths)))
        losses = pd.DataFrame(faithfulness(bert, examples, scored, tokens, batch_size))
        metrics = pd.concat([agreements[-1], rankings, losses], axis=1)
        methods[method] = {name: mean_with_interval(values, examples.documents) for name, values in metrics.items()}
        layers[method] = [layer.mean().to_dict() for layer in agreements]
        false_positives[method] = metrics["fpr"]
    excess = false_positives.drop(columns="AdapLeR").sub(false_positives["AdapLeR"], axis=0)
    over_adapler = {method: mean_with_interval(values, examples.documents) for method, values in excess.items()}
    shares = np.mean([rows.mean(axis=1) for rows in kept], axis=0)
    return {"methods": methods, "fpr_over_adapler": over_adapler, "layers": layers, "kept": shares.tolist()}


def _agreements(chosen: list[np.ndarray], truths: list[np.ndarray], layer: int) -> pd.DataFrame:
    """Agreement of each example's chosen words at a layer with its rationale: a row per example."""
    return pd.DataFrame([agreement(rows[layer], truth) for rows, truth in zip(chosen, truths, strict=True)])


def _highest_by_layer(scores: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """At each layer as many words of the highest scores as AdapLeR kept: bool [L, W]."""
    return np.stack([highest(scores, count) for count in kept.sum(axis=1)])


if __name__ == "__main__":
    run_stage("evaluate_rationales", ARGUMENTS, evaluate_rationales)
