"""Scores of tokens by each explanation method, and the faithfulness of a choice of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tools.data.examples import INPUTS_SPEC, Examples
from tools.explanations.attentions import mean_attentions, rollout
from tools.explanations.saliencies import gradient_x_input
from tools.explanations.token_traces import trace_tokens
from tools.runtime.batches import collect_results, compiled_once

METHODS = ("AdapLeR", "saliency", "attention, last layer", "attention, mean", "rollout", "random")


@dataclass(frozen=True)
class TokenScores:
    """The scores of one example's tokens.

    Attributes:
        scores: method -> score of each token, float [n].
        kept: whether each of AdapLeR's layers ran on each token, bool [L, n].
        label: the label that the fine-tuned BERT predicts.
        probability: BERT's probability of that label.
    """

    scores: dict[str, np.ndarray]
    kept: np.ndarray
    label: int
    probability: float


def score_examples(adapler, bert, examples: Examples, batch_size: int) -> list[TokenScores]:
    """Scores the tokens of each example by every method.

    AdapLeR's score of a token is its contribution summed over the layers that it entered. Saliency is that of BERT's
    predicted label; attention is [CLS]'s row: of the last layer, of the mean over layers, of the rollout. A random
    score is drawn for each word, not for each piece, of which a word of many would have the largest.

    Args:
        adapler: a converted model.
        bert: the fine-tuned plain model.
        examples: with their words.
    """
    explain = compiled_once(_explain, bert, [INPUTS_SPEC])

    def run(inputs, _):
        return *explain(inputs), *trace_tokens(adapler(inputs, lr_mode=True))

    scored, rng = [], np.random.default_rng(0)
    rows = collect_results(run, examples, batch_size, "scoring tokens")
    for words, row in zip(examples.word.to_list(), rows, strict=True):
        probabilities, *explanations, kept, contributions = row
        length, (_, word) = len(words), np.unique(words, return_inverse=True)
        values = [contributions.sum(axis=0), *explanations, rng.random(length)[word]]
        scores = {method: value[:length] for method, value in zip(METHODS, values, strict=True)}
        label = int(probabilities.argmax())
        scored.append(TokenScores(scores, kept[:, :length], label, float(probabilities[label])))
    return scored


def _explain(bert, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """Probabilities [B, labels], and BERT's own scores of tokens in the order of METHODS, [B, n] each."""
    probabilities = _classify(bert, inputs)
    saliency = gradient_x_input(bert, inputs, tf.argmax(probabilities, axis=-1, output_type=tf.int32))
    attentions = mean_attentions(bert, inputs)
    of_cls = attentions[:, :, 0]
    return probabilities, saliency, of_cls[:, -1], tf.reduce_mean(of_cls, axis=1), rollout(attentions)[:, -1, 0]


def faithfulness(
    bert, examples: Examples, scored: list[TokenScores], chosen: list[np.ndarray], batch_size: int
) -> list[dict[str, float]]:
    """ERASER's comprehensiveness (higher is better) and sufficiency (lower is better) of each example.

    They are what the probability of the predicted label loses without the chosen tokens, and on them alone. Tokens are
    taken out of the input; [CLS] and [SEP] always stay.

    Args:
        bert: the fine-tuned plain model.
        chosen: the chosen tokens of each example, bool [n].
    """
    all_chosen = np.concatenate(chosen)
    is_special = examples.word.values.numpy() < 0
    without = _probabilities(bert, examples, scored, ~all_chosen | is_special, batch_size)
    alone = _probabilities(bert, examples, scored, all_chosen | is_special, batch_size)
    before = np.array([example.probability for example in scored])
    losses = zip((before - without).tolist(), (before - alone).tolist(), strict=True)
    return [{"comprehensiveness": loss, "sufficiency": loss_alone} for loss, loss_alone in losses]


def _probabilities(bert, examples: Examples, scored: list[TokenScores], kept: np.ndarray, batch_size: int):
    """Probability of each example's predicted label when only the tokens in `kept`, bool [all tokens], stay: [N]."""
    mask = tf.RaggedTensor.from_row_lengths(kept, examples.lengths)
    tokens = [tf.ragged.boolean_mask(ids, mask) for ids in (examples.input_ids, examples.token_type_ids)]
    classify = compiled_once(_classify, bert, [INPUTS_SPEC])
    rows = collect_results(
        lambda inputs, _: [classify(inputs)], examples.replace_tokens(*tokens), batch_size, "erasure"
    )
    return np.array([row[example.label] for (row,), example in zip(rows, scored, strict=True)])


def _classify(bert, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.nn.softmax(bert(inputs, training=False).logits)
