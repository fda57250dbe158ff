"""The ONNX graph: lr_mode's numbers in float32, and in both precisions an example's own answer in every batch."""

from functools import cache

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
import tensorflow as tf

from tests import tiny
from tests.compare import assert_close
from tools.common.errors import UserError
from tools.inference.onnx_graph import ModelGraph
from tools.inference.onnx_quantisation import ARITHMETIC, INT8, quantise_columns

SIZES = {
    "usual": {},
    "one layer of one head": {
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "hidden_size": 7,
        "intermediate_size": 5,
    },
    "regression": {"num_labels": 1, "hidden_act": "gelu_new"},
    "many labels": {"num_labels": 11, "hidden_act": "relu", "num_hidden_layers": 5, "layer_norm_eps": 1e-3},
    "wide heads": {
        "hidden_size": 66,
        "num_attention_heads": 2,
        "max_position_embeddings": 70,
        "initializer_range": 0.2,
    },
    "tanh": {"hidden_act": "tanh", "type_vocab_size": 3},
}


@pytest.fixture(autouse=True, scope="module")
def eager_tensorflow():
    """Each model is called a few times only, so compiling it would take longer than running it."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@cache
def sized_model(size: str, seed: int):
    return tiny.make_model(seed, **SIZES[size])


@cache
def sized_session(size: str, seed: int, precision: str) -> onnxruntime.InferenceSession:
    return make_session(sized_model(size, seed), precision)


def make_session(model, precision: str = "float32", contributions: bool = False) -> onnxruntime.InferenceSession:
    proto = onnx_ir.to_proto(ModelGraph(model, ARITHMETIC[precision], contributions).build())
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, inputs: dict, **more) -> dict[str, np.ndarray]:
    names = [output.name for output in session.get_outputs()]
    arrays = {name: np.asarray(values, np.int64) for name, values in inputs.items()} | more
    return dict(zip(names, session.run(names, arrays), strict=True))


def random_inputs(model, seed: int, examples: int = 6, holes: bool = False) -> dict[str, np.ndarray]:
    """Padded examples of random lengths and token types, with half of the tokens hidden if `holes`."""
    rng = np.random.default_rng(seed)
    lengths = tuple(rng.integers(1, model.config.max_position_embeddings + 1, examples))
    inputs = tiny.inputs(lengths, seed)
    inputs["token_type_ids"] = rng.integers(0, model.config.type_vocab_size, inputs["input_ids"].shape)
    if holes:
        hidden = rng.random(inputs["attention_mask"].shape) < 0.5
        hidden[:, 0] = False
        inputs["attention_mask"] = inputs["attention_mask"] * ~hidden
    return inputs


def assert_as_lr_mode(outputs: dict[str, np.ndarray], expected, tolerance: float = 1e-5) -> None:
    assert_close(outputs["logits"], expected.logits, tolerance)
    assert np.array_equal(outputs["lengths"], np.stack(expected.lengths, axis=1))
    for layer, kept in enumerate(expected.kept_positions):
        for row, positions in zip(outputs["kept_positions"][:, layer], kept.to_list(), strict=True):
            assert row[: len(positions)].tolist() == positions
            assert (row[len(positions) :] == -1).all()


@pytest.mark.parametrize("holes", [False, True], ids=["padded", "holes"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_float32_is_lr_mode(size, seed, holes):
    model = sized_model(size, seed)
    inputs = random_inputs(model, seed, holes=holes)
    outputs = run(sized_session(size, seed, "float32"), inputs)
    assert_as_lr_mode(outputs, model(inputs, lr_mode=True))
    assert outputs["lengths"].sum() < inputs["attention_mask"].sum() * model.config.num_hidden_layers
    assert outputs["kept_positions"].shape[2] == inputs["input_ids"].shape[1]


@pytest.mark.parametrize("eta_scale", [0.0, 0.5, 1.7, 1e9])
def test_eta_scale_is_an_input_with_the_models_own_as_default(eta_scale):
    model = tiny.make_model(0)
    inputs = random_inputs(model, 5)
    expected = model(inputs, lr_mode=True, eta_scale=eta_scale)
    scaled = run(sized_session("usual", 0, "float32"), inputs, eta_scale=np.array(eta_scale, np.float32))
    assert_as_lr_mode(scaled, expected)
    model.config.eta_scale = eta_scale
    assert_as_lr_mode(run(make_session(model), inputs), expected)


def test_contributions_stand_at_their_places_in_the_input():
    model = tiny.make_model(2)
    inputs = random_inputs(model, 2, holes=True)
    outputs = run(make_session(model, contributions=True), inputs)
    expected = model(inputs, lr_mode=True)
    entering = [[np.flatnonzero(mask) for mask in inputs["attention_mask"]]]
    entering += [layer.to_list() for layer in expected.kept_positions]
    for layer, shares in enumerate(expected.explanations):
        for row, values in enumerate(shares.to_list()):
            placed = np.zeros(inputs["input_ids"].shape[1])
            placed[entering[layer][row]] = values
            assert_close(outputs["contributions"][row, layer], placed, 1e-5)


@pytest.mark.parametrize("holes", [False, True], ids=["padded", "holes"])
def test_plain_bert_keeps_everything(holes):
    model = tiny.make_model(3, converted=False)
    inputs = random_inputs(model, 3, holes=holes)
    outputs = run(make_session(model, contributions=True), inputs)
    assert set(outputs) == {"logits", "lengths", "kept_positions"}
    assert_close(outputs["logits"], model(inputs).logits, 1e-5)
    for row, mask in enumerate(inputs["attention_mask"]):
        assert (outputs["lengths"][row] == mask.sum()).all()
        for positions in outputs["kept_positions"][row]:
            assert positions[: mask.sum()].tolist() == np.flatnonzero(mask).tolist()
            assert (positions[mask.sum() :] == -1).all()


@pytest.mark.parametrize("precision", ARITHMETIC)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_an_example_has_its_own_answer_in_every_batch(size, seed, precision):
    session = sized_session(size, seed, precision)
    inputs = random_inputs(sized_model(size, seed), seed, examples=20)
    shared = run(session, inputs)
    for row, length in enumerate(inputs["attention_mask"].sum(axis=1)):
        alone = run(session, {name: values[row : row + 1, :length] for name, values in inputs.items()})
        assert np.array_equal(alone["lengths"][0], shared["lengths"][row])
        assert np.array_equal(alone["kept_positions"][0], shared["kept_positions"][row, :, :length])
        assert_close(alone["logits"][0], shared["logits"][row], 1e-4)


@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_an_example_without_visible_tokens_leaves_the_others_their_answers(hidden):
    """Position 0 stands for it; a server cannot refuse one of the requests that it merged."""
    session, model = sized_session("usual", 0, "float32"), sized_model("usual", 0)
    inputs = random_inputs(model, 0, examples=3)
    expected = run(session, inputs)
    inputs["attention_mask"][hidden] = 0
    outputs = run(session, inputs)
    others = [row for row in range(3) if row != hidden]
    assert all(np.array_equal(outputs[name][others], expected[name][others]) for name in outputs)
    assert outputs["lengths"][hidden].tolist() == [1] * model.config.num_hidden_layers


@pytest.mark.parametrize("seed", range(3))
def test_int8_is_near_float32(seed):
    model = tiny.make_model(seed, hidden_size=48, num_attention_heads=4, intermediate_size=96, initializer_range=0.1)
    inputs = random_inputs(model, seed)
    keep_all = {"eta_scale": np.array(0, np.float32)}
    float32, int8 = (run(make_session(model, precision), inputs, **keep_all) for precision in ARITHMETIC)
    assert_close(int8["logits"], float32["logits"], 0.02)
    assert not np.array_equal(int8["logits"], float32["logits"])


def test_int8_takes_rows_and_columns_of_zeros():
    model = tiny.make_model(0)
    for layer in model.bert.encoder.layer:
        layer.intermediate.dense.kernel.assign(np.zeros_like(layer.intermediate.dense.kernel))
        layer.intermediate.dense.bias.assign(np.zeros_like(layer.intermediate.dense.bias))
    assert np.isfinite(run(make_session(model, "int8"), random_inputs(model, 0))["logits"]).all()


def test_int8_holds_kernels_and_word_embeddings_in_a_byte_a_weight():
    model = tiny.make_model(0, vocab_size=5000, hidden_size=48, num_attention_heads=4, intermediate_size=96)
    proto = onnx_ir.to_proto(ModelGraph(model, INT8).build())
    types = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    kernels = [name for name in types if name.startswith("layer_") and name.endswith(".kernel")]
    assert len(kernels) == 4 * model.config.num_hidden_layers
    assert {types[name] for name in ("words", *kernels)} == {onnx.TensorProto.INT8}


def test_quantised_columns_are_the_kernel_within_half_a_step():
    kernel = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    integers, scales = quantise_columns(kernel)
    assert integers.dtype == np.int8 and (np.abs(integers).max(axis=0) == 127).all()
    assert (np.abs(integers * scales - kernel) <= scales * 0.5001).all()


def test_an_unknown_activation_is_refused_by_name():
    with pytest.raises(UserError, match="silu"):
        ModelGraph(tiny.make_model(hidden_act="silu"))
