"""Compares the tokens that AdapLeR keeps with what humans marked, and with other explanations of the fine-tuned BERT.

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

from tools.common.atomic_files import write_json
from tools.common.provenance import provenance
from tools.data.examples import Examples
from tools.data.loading import load_examples
from tools.explanations.faithfulness import erasure
from tools.explanations.rationale_metrics import agreement, by_word, highest, mean_with_interval, ranking
from tools.explanations.token_scores import METHODS, Scored, score_examples
from tools.results.tables import rationale_table
from tools.runtime.checkpoints import load_backbone, load_model, load_tokenizer, load_weights
from tools.runtime.fine_tuning_log import best_epochs, read
from tools.runtime.run import Run
from tools.runtime.stage import run_stage


def evaluate_rationales(run: Run) -> None:
    asked, task = run.arguments, run.task
    tokenizer = load_tokenizer(run.backbone)
    adapler = load_model(asked.model_path, run.backbone, task, run.max_length, converted=True)
    bert = load_backbone(run.backbone, task, run.max_length)
    load_weights(bert, run.paths.fine_tuned(asked.epoch or best_epochs(task, read(task, run.paths))[0]))
    examples = load_examples(task, asked.split, tokenizer, run.max_length, run.data_options, with_rationale=True)
    scored = score_examples(adapler, bert, examples, asked.batch_size)
    result = {
        "kind": "rationales",
        "task": task.name,
        "split": asked.split,
        "backbone": run.paths.name,
        "seed": run.paths.seed,
        "max_length": run.max_length,
        "examples": len(examples),
        **provenance(),
        **compare(bert, examples, scored, asked.batch_size),
    }
    write_json(run.paths.rationales(asked.model_path, asked.split), result)
    if asked.save:
        write_json(asked.save, result)
    print(rationale_table(result))


def compare(bert, examples: Examples, scored: list[Scored], batch_size: int) -> dict:
    """All numbers.

    Returns:
        `methods`: method -> metric -> mean with interval, at the last layer's number of words; `fpr_over_adapler`: of
        each other method, by how much its false positive rate exceeds AdapLeR's, example by example, mean with
        interval; `layers`: method -> a list of {metric: mean} by layer; `kept`: AdapLeR's mean share of words left by
        layer.
    """
    words = [np.array(row) for row in examples.word.to_list()]
    truths = [by_word(np.array(r), w) > 0 for r, w in zip(examples.rationale.to_list(), words, strict=True)]
    kept = [np.stack([by_word(layer, w) > 0 for layer in one.kept]) for one, w in zip(scored, words, strict=True)]
    methods, layers, rates = {}, {}, {}
    for method in METHODS:
        ranks = [by_word(one.scores[method], w) for one, w in zip(scored, words, strict=True)]
        chosen = kept if method == "AdapLeR" else [_matched(r, k) for r, k in zip(ranks, kept, strict=True)]
        layers[method] = [
            _means([agreement(one[layer], truth) for one, truth in zip(chosen, truths, strict=True)])
            for layer in range(len(kept[0]))
        ]
        last = [agreement(one[-1], truth) for one, truth in zip(chosen, truths, strict=True)]
        order = [ranking(rank, truth) for rank, truth in zip(ranks, truths, strict=True)]
        tokens = [_tokens_of(one[-1], w) for one, w in zip(chosen, words, strict=True)]
        faith = _faithfulness(bert, examples, scored, tokens, batch_size)
        rows = [a | b | c for a, b, c in zip(last, order, faith, strict=True)]
        methods[method] = {name: mean_with_interval([row[name] for row in rows]) for name in rows[0]}
        rates[method] = np.array([row["fpr"] for row in last])
    over = {name: mean_with_interval(rates[name] - rates["AdapLeR"]) for name in METHODS if name != "AdapLeR"}
    shares = np.mean([one.mean(axis=1) for one in kept], axis=0)
    return {"methods": methods, "fpr_over_adapler": over, "layers": layers, "kept": shares.tolist()}


def _matched(ranks: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """As many words of the highest scores as AdapLeR kept, by layer: bool [L, W]."""
    return np.stack([highest(ranks, count) for count in kept.sum(axis=1)])


def _tokens_of(chosen: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Tokens of the chosen words: bool [n]."""
    numbers = np.unique(words[words >= 0])
    return np.isin(words, numbers[chosen])


def _faithfulness(bert, examples: Examples, scored: list[Scored], tokens: list, batch_size: int) -> list[dict]:
    """ERASER's comprehensiveness (higher is better) and sufficiency (lower is better) of each example."""
    after = erasure(bert, examples, tokens, [one.label for one in scored], batch_size)
    return [
        {"comprehensiveness": one.probability - without, "sufficiency": one.probability - alone}
        for one, without, alone in zip(scored, after["without"], after["alone"], strict=True)
    ]


def _means(rows: list[dict]) -> dict[str, float]:
    """Means over examples, NaNs left out."""
    return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}


if __name__ == "__main__":
    run_stage("evaluate_rationales", ARGUMENTS, evaluate_rationales)
