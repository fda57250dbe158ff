"""Two paths must agree: neutral and BERT, soft and hard, padded and alone."""

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny
from tests.compare import assert_close

SENTENCES = 300


@pytest.mark.parametrize("eta", [1e-10, 0.0])
def test_neutral_thresholds_give_bert(eta):
    bert, model = tiny.make_model(converted=False), tiny.make_model()
    model.bert.encoder.eta.assign([eta] * 3)
    batch = tiny.inputs((7, 5, 2, 1))
    outputs = model(batch)
    assert_close(outputs.logits, bert(batch).logits, 1e-5)
    assert_close(np.stack(outputs.lengths), [[7, 5, 2, 1]] * 3, 0)
    assert_close(model(tiny.inputs([7]), lr_mode=True).logits, bert(tiny.inputs([7])).logits, 1e-5)


def hard(model):
    spec = {name: tf.TensorSpec([1, None], tf.int32) for name in tiny.inputs([1])}

    @tf.function(input_signature=[spec])
    def run(inputs):
        outputs = model(inputs, lr_mode=True)
        return outputs.logits, tf.stack(outputs.lengths, axis=1)

    return run


def assert_soft_is_hard(model, batch) -> np.ndarray:
    """Compares the batch with each of its examples alone, padded as it is and trimmed; gives the lengths."""
    soft, run = model(batch), hard(model)
    lengths = np.stack(soft.lengths, axis=1)
    trimmed_to = batch["attention_mask"].shape[1] - batch["attention_mask"][:, ::-1].argmax(axis=1)
    for row, width in enumerate(trimmed_to):
        for cut in (width, None):
            logits, alone = run({name: tf.constant(v[[row], :cut]) for name, v in batch.items()})
            assert_close(logits[0], soft.logits[row], 1e-4, f"row {row}")
            assert np.array_equal(alone[0], lengths[row]), f"row {row}"
    return lengths


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
