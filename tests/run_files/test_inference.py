"""What users run after training: predictor, prediction files, calibration, export."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from models import AdapLeRPredictor
from run_files.predict import PredictArguments, predict
from tests import tiny
from tests.compare import assert_close
from tests.tiny_task import WORDS, run_here
from tools.common.errors import UserError
from tools.common.paths import ROOT
from tools.data.files import read_file
from tools.evaluation.choose_eta_scale import fastest_within
from tools.inference.export_saved_model import export
from tools.runtime.argument_parser import parse
from tools.runtime.checkpoints import load_tokenizer

TEXTS = ["good film", "a very bad plot was seen", "it", "the film", "bad bad bad bad good"]


def test_predictor_answers_in_order_whatever_the_batches(saved_model):
    one_by_one = [AdapLeRPredictor(saved_model, batch_size=1)(text)[0] for text in TEXTS[:2]]
    answers = AdapLeRPredictor(saved_model, batch_size=2)(TEXTS)
    for own, shared in zip(one_by_one, answers, strict=False):
        assert own["label"] == shared["label"] and own["lengths"] == shared["lengths"]
        assert own["score"] == pytest.approx(shared["score"], abs=1e-5)
    assert {answer["label"] for answer in answers} <= {"bad", "good"}
    assert all(len(answer["lengths"]) == 3 for answer in answers)


def test_predictor_streams(saved_model):
    predictor = AdapLeRPredictor(saved_model, batch_size=2)
    read = []
    texts = (read.append(i) or TEXTS[i % 5] for i in range(1000))
    first = next(predictor.stream(texts))
    assert first["label"] == predictor(TEXTS[0])[0]["label"]
    assert len(read) == 2 * predictor.BATCHES_AHEAD


def without_columns(saved_model) -> AdapLeRPredictor:
    """A predictor that does not know how many texts its model was trained on."""
    predictor = AdapLeRPredictor(saved_model)
    predictor.text_columns = None
    return predictor


def test_predictor_takes_texts_and_pairs_together(saved_model):
    predictor = without_columns(saved_model)
    single, pair = predictor(["good film", ("good film", "a very bad plot")], spans=True)
    for given, answer in (("good film", single), (("good film", "a very bad plot"), pair)):
        alone = predictor([given])[0]
        assert answer["lengths"] == alone["lengths"] and answer["score"] == pytest.approx(alone["score"], abs=1e-5)
    assert all(len(span) == 2 for layer in single["spans"] for span in layer)
    assert all(len(span) == 3 for layer in pair["spans"] for span in layer)


@pytest.mark.parametrize(
    "wrong",
    [
        [("a", "pair", "and more")],
        [3],
        [None],
        [["a"]],
        [{"text_pair": "b"}],
        [{"text": 3}],
        [{"text": "a", "pair": "b"}],
    ],
)
def test_predictor_refuses_what_is_no_text(saved_model, wrong):
    with pytest.raises(ValueError, match="expected"):
        without_columns(saved_model)(wrong)


def test_predictor_refuses_half_of_a_character(saved_model):
    with pytest.raises(ValueError, match="surrogates not allowed"):
        AdapLeRPredictor(saved_model)("half \ud83d")


def test_predictor_takes_the_dicts_of_the_transformers_pipeline(saved_model):
    predictor = without_columns(saved_model)
    expected = predictor(["good film", ("good film", "a very bad plot")], spans=True)
    dicts = [{"text": "good film"}, {"text": "good film", "text_pair": "a very bad plot"}]
    assert predictor(dicts, spans=True) == expected
    for text, answer in zip(dicts, expected, strict=True):
        assert predictor(text)[0]["score"] == pytest.approx(answer["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (["text"], ("good", "bad")),
        (["text"], {"text": "good", "text_pair": "bad"}),
        (["premise", "hypothesis"], "good"),
    ],
)
def test_predictor_refuses_another_number_of_texts_than_the_model_was_trained_on(saved_model, columns, text):
    predictor = AdapLeRPredictor(saved_model)
    predictor.text_columns = columns
    with pytest.raises(ValueError, match=rf"{len(columns)} text\(s\) per example \({', '.join(columns)}\)"):
        predictor([text])


def test_predictor_refuses_a_tuple_of_two_strings_and_names_both_meanings(saved_model):
    predictor = without_columns(saved_model)
    for ask in (predictor, lambda texts: next(predictor.stream(texts))):
        with pytest.raises(ValueError, match=r"\['good', 'bad'\] for two texts or \[\('good', 'bad'\)\] for one pair"):
            ask(("good", "bad"))
    assert len(predictor(["good", "bad"])) == 2 and len(predictor([("good", "bad")])) == 1


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -0.5])
def test_an_eta_scale_that_is_negative_or_not_finite_is_refused(saved_model, scale):
    with pytest.raises(ValueError, match="eta_scale"):
        AdapLeRPredictor(saved_model, eta_scale=scale)
    model = tiny.make_model()
    for lr_mode in (True, False):
        for value in (scale, np.float32(scale), tf.constant(scale)):
            with pytest.raises(ValueError, match="eta_scale"):
                model(tiny.inputs(), lr_mode=lr_mode, eta_scale=value)


def test_predictor_takes_no_texts_and_empty_texts(saved_model):
    predictor = AdapLeRPredictor(saved_model)
    assert predictor([]) == []
    assert np.isfinite(predictor([""])[0]["score"])


@pytest.mark.parametrize("size", [0, -1])
def test_predictor_refuses_batches_of_nothing(saved_model, size):
    with pytest.raises(ValueError, match=f"batch_size is {size}"):
        AdapLeRPredictor(saved_model, batch_size=size)


def write_input(path, count=300):
    rng = np.random.default_rng(1)
    lines = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return lines


def predictions(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def classify(saved_model, file, out, *flags: str) -> list[dict]:
    arguments = ["--MODEL_PATH", saved_model, "--INPUT", file, "--OUTPUT", out, *flags]
    predict(parse([PredictArguments], "", [str(argument) for argument in arguments]))
    return predictions(out)


def test_predict_reads_every_format_alike(saved_model, tmp_path):
    lines = write_input(tmp_path / "in.txt", 20)
    (tmp_path / "in.csv").write_text("index,text\n" + "".join(f"{i},{line}\n" for i, line in enumerate(lines)))
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    whole = classify(saved_model, tmp_path / "in.txt", tmp_path / "out.jsonl")
    assert [answer["index"] for answer in whole] == list(range(20))
    read_file(tmp_path / "in.jsonl").to_parquet(tmp_path / "in.parquet")
    for ending in ("csv", "jsonl", "parquet"):
        assert classify(saved_model, tmp_path / f"in.{ending}", tmp_path / f"{ending}.out.jsonl") == whole


@pytest.mark.parametrize("count", [7, 36])
def test_predict_answers_the_last_partial_batch_too(saved_model, tmp_path, count):
    """Batches of 4, of which 8 are read together."""
    lines = write_input(tmp_path / "in.txt", count)
    answers = classify(saved_model, tmp_path / "in.txt", tmp_path / "out.jsonl", "--BATCH_SIZE", "4")
    assert [answer["index"] for answer in answers] == list(range(count))
    predictor = AdapLeRPredictor(saved_model, batch_size=1)
    for line, answer in list(zip(lines, answers, strict=True))[-5:]:
        (alone,) = predictor(line)
        assert answer["label"] == alone["label"] and answer["lengths"] == alone["lengths"]
        assert answer["score"] == pytest.approx(alone["score"], abs=1e-5)


def test_predict_takes_plain_text_whatever_the_models_own_data_calls_it(saved_model, tmp_path):
    write_input(tmp_path / "in.txt", 5)
    expected = classify(saved_model, tmp_path / "in.txt", tmp_path / "expected.jsonl")
    other = shutil.copytree(saved_model, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"text_columns": ["sentence"]}))
    assert classify(other, tmp_path / "in.txt", tmp_path / "out.jsonl") == expected
    (tmp_path / "in.csv").write_text("number,text\n1,good\n")
    with pytest.raises(UserError, match="no column sentence"):
        classify(other, tmp_path / "in.csv", tmp_path / "csv.jsonl")


def test_shards_make_up_the_whole(saved_model, tmp_path):
    write_input(tmp_path / "in.txt", 17)
    whole = classify(saved_model, tmp_path / "in.txt", tmp_path / "whole.jsonl")
    parts = [
        classify(saved_model, tmp_path / "in.txt", tmp_path / f"{part}.jsonl", "--SHARD", f"{part}/3")
        for part in (1, 2, 3)
    ]
    assert [len(part) for part in parts] == [6, 6, 5]
    for own, shared in zip(itertools.chain(*parts), whole, strict=True):
        assert own["score"] == pytest.approx(shared.pop("score"), abs=1e-5)
        assert {name: own[name] for name in shared} == shared


def test_predict_refuses_an_input_without_rows(saved_model, tmp_path):
    (tmp_path / "in.txt").touch()
    with pytest.raises(UserError, match="no rows"):
        classify(saved_model, tmp_path / "in.txt", tmp_path / "out.jsonl")


def test_predict_never_writes_over_its_input(saved_model, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "good"}\n')
    (tmp_path / "same.jsonl").symlink_to(file)
    for out in (file, tmp_path / "same.jsonl"):
        with pytest.raises(UserError, match="--INPUT and --OUTPUT are both"):
            classify(saved_model, file, out)
    assert file.read_text() == '{"text": "good"}\n'


def test_predict_refuses_a_row_without_a_text_and_leaves_no_output(saved_model, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "good"}\n{"text": null}\n')
    with pytest.raises(UserError, match=r"^\S+in.jsonl: row 1 \(from 0\): column 'text' holds None"):
        classify(saved_model, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("wrong", ["--SHARD 4/3", "--TEXT_COLUMNS missing"])
def test_predict_refuses(saved_model, tmp_path, wrong):
    write_input(tmp_path / "in.txt", 3)
    files = f"--INPUT {tmp_path}/in.txt --OUTPUT {tmp_path}/out.jsonl"
    done = run_here(f"python run_files/predict.py --MODEL_PATH {saved_model} {files} {wrong}")
    assert done.returncode == 2 and "Traceback" not in done.stderr and wrong.split()[0] in done.stderr


def test_an_interrupted_prediction_is_carried_on(saved_model, tmp_path):
    count = 1500
    write_input(tmp_path / "in.txt", count)
    out, partial = tmp_path / "out.jsonl", tmp_path / ".out.jsonl.begun"
    files = f"--INPUT {tmp_path}/in.txt --OUTPUT {out}"
    command = f"python run_files/predict.py --MODEL_PATH {saved_model} {files} --BATCH_SIZE 8"
    process = subprocess.Popen([sys.executable, *command.split()[1:]], cwd=ROOT, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (partial.exists() and partial.stat().st_size > 3000):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() != 0 and not out.exists()
    before = partial.read_bytes()
    assert before.count(b"\n") > 10
    done = run_here(command)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes().startswith(before[: before.rindex(b"\n") + 1])
    assert [answer["index"] for answer in predictions(out)] == list(range(count))
    assert {path.name for path in tmp_path.iterdir()} == {"in.txt", "out.jsonl"}


def test_the_fastest_good_enough_factor_is_chosen():
    points = [(0.5, 0.90, 1.1), (1.0, 0.89, 1.5), (1.2, 0.885, 1.8), (1.5, 0.7, 3.0)]
    curve = [dict(zip(("eta_scale", "score", "speedup"), point, strict=True)) for point in points]
    assert fastest_within(curve, 0.88) == 1.2
    assert fastest_within(curve, 0.885) == 1.0
    assert fastest_within(curve, 0.95) is None


LOADER = """
import sys, numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
serve = loaded.signatures["serving_default"]
for number in range(int(sys.argv[2])):
    arrays = np.load(f"{sys.argv[3]}/{number}.npz")
    outputs = serve(**{name: tf.constant(values) for name, values in arrays.items()})
    np.savez(f"{sys.argv[3]}/{number}.out.npz", **{name: value.numpy() for name, value in outputs.items()})
assert not any(name.split(".")[0] in ("models", "tools", "transformers") for name in sys.modules)
"""


def test_saved_model_drops_tokens_without_this_project(saved_model, tmp_path):
    model = tiny.make_model()
    export(model, load_tokenizer(str(saved_model)), tmp_path / "exported")
    shapes = [(7, 5, 2), (1,), (15,), (4, 4)]
    for number, lengths in enumerate(shapes):
        np.savez(tmp_path / f"{number}.npz", **tiny.inputs(lengths, seed=number))
    command = [sys.executable, "-c", LOADER, str(tmp_path / "exported"), str(len(shapes)), str(tmp_path)]
    subprocess.run(command, check=True, cwd=tmp_path)
    for number, lengths in enumerate(shapes):
        expected = model(tiny.inputs(lengths, seed=number), lr_mode=True)
        outputs = np.load(tmp_path / f"{number}.out.npz")
        assert_close(outputs["logits"], expected.logits, 1e-5)
        assert_close(outputs["probabilities"], tf.nn.softmax(expected.logits), 1e-5)
        assert np.array_equal(outputs["lengths"], np.stack(expected.lengths, axis=1))
    assert outputs["lengths"].min() < 4
