"""Words followed through the layers, and the page in a real browser."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from matplotlib import image

from models import AdapLeRPredictor, TFAdapLeRForSequenceClassification
from tests.tiny_task import run, run_here
from tools.explanations.token_traces import trace
from tools.explanations.token_views import DROPPED, as_coloured_text, as_page, as_text
from tools.runtime.checkpoints import load_tokenizer

TEXT = "a very good film was seen"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def traced(saved_model):
    model = TFAdapLeRForSequenceClassification.from_pretrained(saved_model)
    return trace(model, load_tokenizer(str(saved_model)), [TEXT], 9)


def test_trace_follows_words(traced):
    assert [word["word"] for word in traced["words"]] == TEXT.split()
    assert all(TEXT[word["start"] : word["end"]] == word["word"] for word in traced["words"])
    assert traced["lengths"][0] == 8 and len(traced["lengths"]) == 4
    for layer in range(3):
        left = sum(word["alive"][layer] for word in traced["words"])
        assert 0 <= traced["lengths"][layer + 1] - left <= 2  # [CLS], and perhaps [SEP]
    for word in traced["words"]:
        assert sorted(word["alive"], reverse=True) == word["alive"]


def test_predictor_tells_the_same_characters(saved_model, traced):
    (answer,) = AdapLeRPredictor(saved_model)([TEXT], spans=True)
    for layer, spans in enumerate(answer["spans"]):
        expected = [(word["start"], word["end"]) for word in traced["words"] if word["alive"][layer]]
        assert spans == expected
    assert answer["lengths"] == traced["lengths"][1:]
    assert "spans" not in AdapLeRPredictor(saved_model)([TEXT])[0]


def test_text_views(traced):
    lines = as_text(traced).splitlines()
    assert len(lines) == 5 and lines[0].endswith(TEXT) and DROPPED in lines[3]
    assert "\x1b[" in as_coloured_text(traced)


def test_the_command_writes_page_and_json(saved_model, tmp_path):
    files = f"--HTML {tmp_path}/p.html --JSON {tmp_path}/t.json"
    command = f"python -m tools.explanations.show_tokens --MODEL_PATH {saved_model} {files}"
    done = run(f'{command} --TEXT "{TEXT}"')
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "t.json").read_text())["texts"] == [TEXT]
    assert "prediction" in done.stdout and (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    neither = run_here(command)
    assert neither.returncode == 2 and "--TEXT" in neither.stderr


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (Debian: apt install chromium)")
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_in_a_browser(traced, tmp_path, dark):
    evil = {**traced, "words": [{**traced["words"][0], "word": "<script>alert(1)</script>"}, *traced["words"][1:]]}
    (tmp_path / "page.html").write_text(as_page(evil))
    assert "http" not in as_page(evil)
    picture = tmp_path / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=800,600", f"--screenshot={picture}"]
    flags += ["--blink-settings=preferredColorScheme=0", "--force-dark-mode"] if dark else []
    page = (tmp_path / "page.html").as_uri()
    subprocess.run([BROWSER, *flags, page], check=True, capture_output=True, timeout=60)
    pixels = image.imread(picture)[..., :3]
    assert pixels.std() > 0.02  # something is on it
    assert (np.median(pixels) < 0.3) == dark
    dom = subprocess.run([BROWSER, *flags[:3], "--dump-dom", page], check=True, capture_output=True, timeout=60).stdout
    assert dom.count(b"<li>") == 3 and b"<script>" not in dom and b"</mark>" in dom
