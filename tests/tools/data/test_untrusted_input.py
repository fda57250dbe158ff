"""Whatever comes in: a result, or one clear error; never a crash, a hang or NaN."""

import faulthandler
import os
import pickle

import datasets
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models import AdapLeRPredictor
from tests import tiny
from tests.compare import assert_close
from tests.machine import needs_bfloat16
from tests.tiny_task import write_backbone
from tools.common.errors import UserError
from tools.data.loading import load_examples
from tools.data.rows import DataOptions, read_file
from tools.data.tasks import TABLE
from tools.explanations.saliencies import SaliencyFiles, join
from tools.runtime.checkpoints import load_saved, load_weights

LONGEST = 600
"""Seconds that a test may take: many times what it needs on a busy machine."""

some = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def stderr(request):
    """The process's standard error, past pytest's capture of it."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        descriptor = os.dup(2)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(autouse=True)
def no_hang(stderr):
    """Ends the process with the traceback of a test that hangs, also in compiled code."""
    faulthandler.dump_traceback_later(LONGEST, exit=True, file=stderr)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def model():
    return tiny.make_model()


@some
@given(
    mask=arrays.arrays(np.int32, st.tuples(st.integers(0, 4), st.integers(0, 18)), elements=st.integers(0, 1)),
    seed=st.integers(0, 9),
    lr_mode=st.booleans(),
    eta_scale=st.sampled_from([0.0, 0.5, 1.0, 3.0, 1e9]),
)
def test_any_mask(model, mask, seed, lr_mode, eta_scale):
    """All zero, with holes, without [CLS], no example, no token, one token, as many as there are positions, or more."""
    ids = np.random.default_rng(seed).integers(0, 50, mask.shape).astype(np.int32)
    try:
        outputs = model({"input_ids": ids, "attention_mask": mask}, lr_mode=lr_mode, eta_scale=eta_scale)
    except ValueError as error:
        assert mask.shape[1] in (0, 17, 18) or (mask[:, 0] == 0).any()
        assert "CLS" in str(error) or "positions" in str(error)
        return
    assert outputs.logits.shape == (len(mask), 3) and np.isfinite(outputs.logits).all()
    for length in outputs.lengths:
        assert ((length.numpy() >= 1) & (length.numpy() <= mask.sum(axis=1))).all()


@some
@given(ids=arrays.arrays(np.int32, (2, 5), elements=st.integers(-3, 60)))
def test_token_ids_outside_the_vocabulary(model, ids):
    for lr_mode in (False, True):
        try:
            assert np.isfinite(model({"input_ids": ids}, lr_mode=lr_mode).logits).all()
        except ValueError as error:
            assert (ids < 0).any() or (ids >= 50).any()
            assert "vocabulary" in str(error)
        else:
            assert ids.min() >= 0 and ids.max() < 50


@some
@given(texts=st.lists(st.one_of(st.text(), st.text("ab \n", max_size=4000)), max_size=5))
def test_any_text(predictor, texts):
    answers = predictor(texts)
    assert len(answers) == len(texts)
    assert all(0 <= answer["score"] <= 1 and min(answer["lengths"]) >= 1 for answer in answers)


@pytest.fixture(scope="module")
def predictor(saved_model):
    return AdapLeRPredictor(saved_model, batch_size=2)


@some
@given(content=st.binary(max_size=300), ending=st.sampled_from(["jsonl", "csv", "tsv", "txt", "parquet", "jsonl.gz"]))
def test_random_bytes_as_data(tmp_path_factory, content, ending):
    file = tmp_path_factory.mktemp("bytes") / f"train.{ending}"
    file.write_bytes(content)
    try:
        assert isinstance(read_file(file), datasets.Dataset)
    except UserError as error:
        assert str(file) in str(error)


def damaged(good: bytes):
    """Random bytes, or the file cut short."""
    cut = st.integers(0, len(good) - 1).map(lambda end: good[:end])
    return st.one_of(st.binary(max_size=200), cut)


def test_damaged_weights(tmp_path):
    model = tiny.make_model()
    file = tmp_path / "weights.h5"
    model.save_weights(str(file))
    good = file.read_bytes()

    @some
    @given(content=damaged(good))
    def check(content):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"weights\.h5"):
            load_weights(model, file)

    check()


def test_pickles_are_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("code was run",))

    examples = tiny_examples(tmp_path)
    matrix, rows = tmp_path / "m.npy", tmp_path / "m.rows.npz"
    matrix.write_bytes(pickle.dumps(Bomb()))
    np.savez(rows, row_ids=[0], checksums=[0], weights=0)
    with pytest.raises(UserError, match=r"m\.npy"):
        join(examples, [SaliencyFiles(matrix, rows, tmp_path / "none.h5")], "the command")
    np.save(matrix, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"m\.npy"):
        join(examples, [SaliencyFiles(matrix, rows, tmp_path / "none.h5")], "the command")


def tiny_examples(folder):
    (folder / "sst2").mkdir()
    (folder / "sst2" / "train.jsonl").write_text('{"sentence": "good film", "label": 1}\n')
    tokenizer_directory = write_backbone(folder / "backbone")
    from tools.runtime.checkpoints import load_tokenizer

    tokenizer = load_tokenizer(str(tokenizer_directory))
    return load_examples(TABLE["sst2"], "train", tokenizer, 8, DataOptions(folder))


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"model_type": "gpt2"}', '{"model_type": "bert", "hidden_size": "x"}']
)
def test_damaged_configs(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=str(tmp_path)):
        load_saved(tmp_path)


@pytest.mark.parametrize("eta", [0.01, 1.0])
@pytest.mark.parametrize("lengths", [(2, 2), (7, 5, 2)])
@needs_bfloat16
def test_bfloat16(eta, lengths):
    """Soft and hard agree on lengths and within bfloat16's precision on logits; nothing is NaN."""
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = tiny.make_model()
        model.bert.encoder.eta.assign([eta] * 3)
        batch, _ = tiny.batch(lengths)
        for slope in (10.0, 1e20):
            model.bert.encoder.removal_lambda.assign(slope)
            with tf.GradientTape() as tape:
                soft = model(batch, training=True)
                loss = tf.reduce_sum(soft.logits) + tf.add_n([tf.reduce_sum(length) for length in soft.lengths])
            gradients = tape.gradient(loss, model.trainable_variables, unconnected_gradients="zero")
            assert all(np.isfinite(tf.cast(tf.convert_to_tensor(g), tf.float32)).all() for g in gradients)
        hard = model(batch, lr_mode=True)
        assert soft.logits.dtype == hard.logits.dtype == tf.float32
        assert np.array_equal(np.stack(soft.lengths), np.stack(hard.lengths))
        assert_close(hard.logits, soft.logits, 0.1)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
