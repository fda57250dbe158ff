"""Two paths must agree: neutral and BERT, soft and hard, padded and alone."""

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny
from tests.compare import assert_close
from tools.data.examples import INPUTS_SPEC

SENTENCES = 300
ROUNDING = 1e-5
"""Allowed difference of logits of order 1 that the same float32 sums give in a graph and operation by operation. Over
twelve seeds it was at most 2.9e-6, on one processor with oneDNN, without it, and with oneDNN held to AVX2."""


@pytest.mark.parametrize("eta", [1e-10, 0.0])
def test_neutral_thresholds_give_bert(eta):
    bert, model = tiny.make_model(converted=False), tiny.make_model()
    model.bert.encoder.eta.assign([eta] * 3)
    batch = tiny.inputs((7, 5, 2, 1))
    outputs = model(batch)
    assert_close(outputs.logits, bert(batch).logits, 1e-5)
    assert_close(np.stack(outputs.lengths), [[7, 5, 2, 1]] * 3, 0)
    assert_close(model(tiny.inputs([7]), lr_mode=True).logits, bert(tiny.inputs([7])).logits, 1e-5)


def assert_soft_is_hard(model, batch) -> np.ndarray:
    """Compares soft and hard removal of the batch, and each example's alone; gives the lengths."""
    soft, hard = model(batch), model(batch, lr_mode=True)
    lengths = np.stack(soft.lengths, axis=1)
    assert_close(hard.logits, soft.logits, 1e-4)
    assert np.array_equal(np.stack(hard.lengths, axis=1), lengths)
    for row in range(len(lengths)):
        alone = model({name: values[[row], : trimmed(batch)[row]] for name, values in batch.items()}, lr_mode=True)
        assert_close(alone.logits[0], hard.logits[row], 1e-4, f"row {row}")
        for own, shared in zip(alone.kept_positions, hard.kept_positions, strict=True):
            assert np.array_equal(own[0], shared[row]), f"row {row}"
        for own, shared in zip(alone.explanations, hard.explanations, strict=True):
            assert_close(own[0], shared[row], 1e-4, f"row {row}")
    return lengths


def trimmed(batch) -> np.ndarray:
    """Length of each example without the padding at its end."""
    return batch["attention_mask"].shape[1] - batch["attention_mask"][:, ::-1].argmax(axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_soft_is_hard(seed):
    rng = np.random.default_rng(seed)
    model = tiny.make_model(seed, initializer_range=0.8)
    model.bert.encoder.eta.assign(rng.uniform(0.2, 1, 3))
    lengths = assert_soft_is_hard(model, tiny.inputs(rng.integers(1, 16, SENTENCES // 3), seed, width=15))
    assert len(np.unique(lengths)) > 4


def test_soft_is_hard_for_extreme_scores():
    model = tiny.make_model(initializer_range=0.8)
    for predictor in model.bert.encoder.contribution_predictors:
        predictor.score.kernel.assign(60 * predictor.score.kernel)
    assert_soft_is_hard(model, tiny.inputs(np.random.default_rng(0).integers(2, 16, 60), width=15))


def test_masks_with_holes():
    model, batch = tiny.make_model(), tiny.inputs((7, 6, 5))
    batch["attention_mask"][0, [2, 4]] = 0
    batch["attention_mask"][1, 1] = 0
    assert_soft_is_hard(model, batch)


def test_what_stands_under_the_padding_does_not_matter():
    model, batch = tiny.make_model(), tiny.inputs()
    expected = model(batch)
    batch["input_ids"][batch["attention_mask"] == 0] = 9
    assert_close(model(batch).logits, expected.logits, 1e-6)
    assert np.array_equal(np.stack(model(batch).lengths), np.stack(expected.lengths))


def test_padding_width_does_not_matter():
    model = tiny.make_model()
    assert_close(model(tiny.inputs(width=15)).logits, model(tiny.inputs()).logits, 1e-6)


def test_gradients_are_finite_at_the_extremes():
    for eta in (0.01, 1.0):
        for slope in (10.0, 1e5, 1e20):
            model = tiny.make_model()
            model.bert.encoder.eta.assign([eta] * 3)
            model.bert.encoder.removal_lambda.assign(slope)
            batch, _ = tiny.batch((7, 2, 1))
            with tf.GradientTape() as tape:
                outputs = model(batch, training=True)
                loss = tf.reduce_sum(outputs.logits) + tf.add_n([tf.reduce_sum(n) for n in outputs.lengths])
            gradients = tape.gradient(loss, model.trainable_variables, unconnected_gradients="zero")
            assert all(np.isfinite(tf.convert_to_tensor(g)).all() for g in gradients), (eta, slope)


def test_one_graph_serves_every_shape():
    model = tiny.make_model()
    for lengths in ([7], [7, 5, 2], [1], [3, 3], [15] * 4):
        model(tiny.inputs(lengths), lr_mode=True)
    assert model._compiled_lr_mode.experimental_get_tracing_count() == 1


def test_a_graph_of_the_users_own_drops_the_same_tokens_for_every_shape():
    model = tiny.make_model()
    inside = tf.function(lambda inputs: dict(model(inputs, lr_mode=True)), input_signature=[INPUTS_SPEC])
    for lengths, width in (((7, 5, 2), 7), ((12, 3, 9, 1, 15), 16)):
        batch = tiny.inputs(lengths, seed=width, width=width)
        expected, actual = model(batch, lr_mode=True), inside(tf.nest.map_structure(tf.constant, batch))
        assert_close(actual["logits"], expected.logits, 1e-6)
        assert np.array_equal(np.stack(actual["lengths"]), np.stack(expected.lengths))
        assert np.stack(expected.lengths)[-1].sum() < sum(lengths)
        for own, eager in zip(actual["kept_positions"], expected.kept_positions, strict=True):
            assert own.to_list() == eager.to_list()
    assert inside.experimental_get_tracing_count() == 1


def test_lr_mode_inside_a_graph_and_op_by_op():
    model, batch = tiny.make_model(), tiny.inputs()
    expected = model(batch, lr_mode=True).logits
    inside = tf.function(lambda inputs: model(inputs, lr_mode=True).logits)
    assert_close(inside({name: tf.constant(values) for name, values in batch.items()}), expected, ROUNDING)
    op_by_op = model(batch, lr_mode=True, output_attentions=True, output_hidden_states=True)
    assert_close(op_by_op.logits, expected, ROUNDING)
    widths = [int(length.numpy().max()) for length in op_by_op.lengths]
    assert [attention.shape for attention in op_by_op.attentions] == [(3, 3, width, width) for width in widths]
    assert op_by_op.hidden_states[-1].row_lengths().numpy().tolist() == op_by_op.lengths[-1].numpy().tolist()


def test_an_empty_batch():
    outputs = tiny.make_model()({name: values[:0] for name, values in tiny.inputs().items()}, lr_mode=True)
    assert outputs.logits.shape == (0, 3)


def test_kept_positions_are_positions_of_the_input():
    outputs = tiny.make_model()(tiny.inputs((7, 5, 2)), lr_mode=True)
    entering = [list(range(7)), list(range(5)), [0, 1]]
    for kept in outputs.kept_positions:
        left = kept.to_list()
        assert all(row[0] == 0 and set(row) <= set(before) for row, before in zip(left, entering, strict=True))
        entering = left
    assert sum(map(len, entering)) < 14
