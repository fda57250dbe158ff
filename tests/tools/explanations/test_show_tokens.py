"""Words followed through the layers, and the page in a real browser."""

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pandas
import pytest
from matplotlib import image

from models import AdapLeRPredictor, TFAdapLeRForSequenceClassification
from tests.tiny_task import run_here
from tools.common.atomic_files import file_checksum
from tools.common.errors import UserError
from tools.common.paths import RESULTS, TaskPaths
from tools.explanations.show_tokens import ShowArguments, chosen_texts, show_tokens
from tools.explanations.token_traces import trace, traces
from tools.explanations.token_views import DROPPED, as_coloured_text, as_text
from tools.flops.formulas import adapler_flops, bert_flops
from tools.results.figures import draw_review, review_rows, write_figure
from tools.results.result_files import Results
from tools.runtime.argument_parser import parse
from tools.runtime.checkpoints import load_tokenizer, set_eta_scale

TEXT = "a very good film was seen"
TEXTS = [TEXT, "bad <script>alert(1)</script>"]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
AXE = Path(os.environ.get("AXE_CORE", "axe.min.js"))
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (Debian: apt install chromium)")


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


def test_a_batch_of_traces_is_that_of_each_alone(saved_model, traced):
    model = TFAdapLeRForSequenceClassification.from_pretrained(saved_model)
    tokenizer = load_tokenizer(str(saved_model))
    tokenizer.padding_side = "left"  # of some backbones; lr_mode needs [CLS] first
    (alone,) = traces(model, tokenizer, [[TEXTS[1]]], 9, eta_scale=0.5)
    together = traces(model, tokenizer, [[text] for text in TEXTS], 9, eta_scale=0.5)
    assert [row["texts"] for row in together] == [[text] for text in TEXTS]
    assert together[1]["words"] == alone["words"] and together[1]["lengths"] == alone["lengths"]
    assert together[1]["score"] == pytest.approx(alone["score"], abs=1e-5)
    expected = bert_flops(model.config, alone["lengths"][0]) / adapler_flops(model.config, np.array(alone["lengths"]))
    assert alone["speedup"] == pytest.approx(float(expected)) and alone["speedup"] < traced["speedup"]


@pytest.fixture(scope="module")
def written(saved_model, tmp_path_factory):
    """The command's page of two texts (one of which looks like markup), its JSON and what it printed."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    files = f"--HTML {folder}/page.html --JSON {folder}/traces.json"
    command = f"python -m tools.explanations.show_tokens --MODEL_PATH {saved_model} --INPUT {folder}/texts.txt {files}"
    done = run_here(command)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder, done.stdout


def test_the_command_writes_page_and_json(saved_model, written):
    folder, output = written
    rows = json.loads((folder / "traces.json").read_text())
    assert [row["texts"] for row in rows] == [[text] for text in TEXTS] and output.count("prediction") == 2
    page = (folder / "page.html").read_text()
    assert page.startswith("<!doctype html>") and "http" not in page and "<script>alert" not in page
    data = page_data(page)
    assert data["scales"] == [round(0.05 * step, 2) for step in range(41)] and data["scales"][data["start"]] == 1
    model = TFAdapLeRForSequenceClassification.from_pretrained(saved_model)
    for step in (0, 13, 20, 40):
        expected = traces(model, load_tokenizer(str(saved_model)), [[TEXTS[0]]], 9, eta_scale=data["scales"][step])[0]
        shown = data["texts"][0]["steps"][step]
        assert shown["lengths"] == expected["lengths"] and shown["label"] == expected["label"]
        assert shown["score"] == pytest.approx(expected["score"], abs=1e-3)
        assert shown["speedup"] == pytest.approx(expected["speedup"], abs=0.01)
        assert list(map(int, shown["passed"])) == [sum(word["alive"]) for word in expected["words"]]
    assert data["texts"][0]["steps"][0]["passed"] == "3" * 6 != data["texts"][0]["steps"][40]["passed"]


def test_the_slider_stops_at_the_models_own_eta_scale(saved_model, tmp_path):
    """Where it starts, so that the page opens with the answer that the terminal prints."""
    model = shutil.copytree(saved_model, tmp_path / "model")
    set_eta_scale(model, 3.0)
    files = ["--HTML", str(tmp_path / "page.html"), "--JSON", str(tmp_path / "traces.json")]
    show_tokens(parse([ShowArguments], "", ["--MODEL_PATH", str(model), "--TEXT", TEXT, *files]))
    data, (printed,) = (
        page_data((tmp_path / "page.html").read_text()),
        json.loads((tmp_path / "traces.json").read_text()),
    )
    assert data["scales"][-2:] == [2, 3] and data["start"] == 41
    assert data["texts"][0]["steps"][41]["lengths"] == printed["lengths"]


def test_traces_have_the_token_types_that_training_had(saved_model, monkeypatch):
    """Whether or not the tokenizer gives them unasked."""
    model = TFAdapLeRForSequenceClassification.from_pretrained(saved_model)
    tokenizer, seen = load_tokenizer(str(saved_model)), []
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    run = model.call
    monkeypatch.setattr(model, "call", lambda inputs, **flags: seen.append(inputs) or run(inputs, **flags))
    traces(model, tokenizer, [[TEXT, TEXTS[1]]], 9)
    assert seen[0]["token_type_ids"].numpy().any()


def test_texts_that_are_cut_are_counted(saved_model, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text(f"{TEXT}\n{'good film ' * 99}\n")
    flags = ["--MODEL_PATH", saved_model, "--INPUT", tmp_path / "texts.txt", "--JSON", tmp_path / "traces.json"]
    show_tokens(parse([ShowArguments], "", list(map(str, flags))))
    assert "too long for the model and were cut at their end: 1\n" in capsys.readouterr().err
    assert [row["cut"] for row in json.loads((tmp_path / "traces.json").read_text())] == [False, True]


def page_data(page: str) -> dict:
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


@pytest.mark.parametrize("flags", ["", "--TEXT a --TASK sst2", "--TEXT a --INPUT b.csv"])
def test_texts_come_from_one_place(flags, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse([ShowArguments], "", ["--MODEL_PATH", "m", *flags.split()])
    assert "give one of --TEXT" in capsys.readouterr().err


@pytest.mark.parametrize("flags", ["--TEXT a --INDEX 2", "--TEXT a --COUNT 2", "--INPUT b.csv --SPLIT test"])
def test_flags_of_another_source_are_refused(flags, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse([ShowArguments], "", f"--MODEL_PATH x {flags}".split())
    assert exit_.value.code == 2 and f"{flags.split()[2]} has no use with {flags.split()[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("flags, words", [("--TEXT a b", "trained on text; 2 texts"), ("--INPUT no.csv", "no.csv")])
def test_wrong_texts_are_refused(saved_model, flags, words):
    with pytest.raises(UserError, match=words):
        show_tokens(parse([ShowArguments], "", ["--MODEL_PATH", str(saved_model), *flags.split()]))


def test_too_many_texts_are_refused(tmp_path):
    (tmp_path / "texts.csv").write_text("text\n" + "a film\n" * 101)
    arguments = parse([ShowArguments], "", ["--model_path", "m", "--input", str(tmp_path / "texts.csv")])
    with pytest.raises(UserError, match="101 texts"):
        chosen_texts(arguments, ["text"])
    arguments.count, arguments.index = 100, 50
    assert len(chosen_texts(arguments, ["text"])) == 51
    arguments.index = 101
    with pytest.raises(UserError, match="rows 0 to 100"):
        chosen_texts(arguments, ["text"])
    with pytest.raises(UserError, match="no column question"):
        chosen_texts(arguments, ["question", "text"])


def test_texts_of_a_file_are_strings_in_their_order(tmp_path):
    file = tmp_path / "texts.csv"
    file.write_text("first,second\n1,2\n3,4\n5,6\n")
    arguments = parse([ShowArguments], "", ["--model_path", "m", "--input", str(file), "--index", "1"])
    assert chosen_texts(arguments, ["second", "first"]) == [["4", "3"], ["6", "5"]]
    assert chosen_texts(arguments, ["first"]) == [["3"], ["5"]]


def test_the_page_is_never_written_over_the_texts(tmp_path, capsys):
    file = tmp_path / "texts.txt"
    file.write_text("a film\n")
    with pytest.raises(SystemExit, match="2"):
        parse([ShowArguments], "", ["--model_path", "m", "--input", str(file), "--html", str(file)])
    assert f"{file} is the file of --INPUT" in capsys.readouterr().err


def dom_after(page, script: str, *flags: str) -> str:
    """The page's document in a headless browser after a script ran in it."""
    changed = page.with_name("changed.html")
    changed.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", *flags]
    done = subprocess.run([*command, "--dump-dom", changed.as_uri()], check=True, capture_output=True, timeout=120)
    return done.stdout.decode()


def set_value(name: str, value) -> str:
    return f"const c = document.getElementById('{name}'); c.value = {value}; c.dispatchEvent(new Event('input'));"


@needs_browser
def test_the_slider_shows_each_step(written):
    folder, _ = written
    data = page_data((folder / "page.html").read_text())
    for position in (0, 20, 40):
        step = data["texts"][0]["steps"][position]
        dom = dom_after(folder / "page.html", set_value("scale", position))
        assert f"Answer: {step['label']} ({step['score']:.2f})" in dom and f"{step['speedup']:.2f}x" in dom
        assert f'aria-valuetext="{data["scales"][position]:.2f}"' in dom
        layers = dom.split("<h3>")[1:]
        assert len(layers) == 4 and [f" {n} tokens" in layer for n, layer in zip(step["lengths"], layers, strict=True)]
        for layer, text in enumerate(layers):
            assert text.count("<mark>") == sum(int(digit) >= layer for digit in step["passed"])
    assert "<del>" in dom
    dom = dom_after(folder / "page.html", f"{set_value('scale', 40)} document.getElementById('only').click();")
    assert "<del>" not in dom and "<mark>" in dom
    dom = dom_after(folder / "page.html", set_value("text", 1))
    assert "&lt;script&gt;" in dom.replace("<mark>", "").replace("</mark>", "").replace(" ", "")


@needs_browser
def test_every_control_takes_the_focus_and_has_a_label(written):
    """All controls are native ones in the order of the page; the slider moves by one step, as an arrow key moves it."""
    folder, _ = written
    script = """
      const order = [...document.querySelectorAll("select, input, summary, [tabindex]")];
      const reached = order.filter((e) => { e.focus(); return document.activeElement === e && e.tabIndex === 0; });
      const slider = document.getElementById("scale");
      slider.stepUp(); slider.dispatchEvent(new Event("input"));
      const labels = order.filter((e) => e.labels).map((e) => e.labels.length);
      document.title = JSON.stringify([order.length, reached.length, slider.getAttribute("aria-valuetext"), labels]);
    """
    dom = dom_after(folder / "page.html", "document.querySelector('details').open = true;" + script)
    order, reached, value, labels = json.loads(dom.partition("<title>")[2].partition("</title>")[0])
    assert order == reached == 5 and value == "1.05" and labels == [1, 1, 1]


@needs_browser
@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core (npm pack axe-core; AXE_CORE=.../package/axe.min.js)")
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(written, dark):
    folder, _ = written
    check = "axe.run().then((found) => { document.title = JSON.stringify(found.violations.map((v) => v.id)) });"
    script = f"{AXE.read_text()}</script><script>document.querySelector('details').open = true; {check}"
    flags = ["--blink-settings=preferredColorScheme=0", "--force-dark-mode"] if dark else []
    dom = dom_after(folder / "page.html", script, *flags)
    assert dom.partition("<title>")[2].partition("</title>")[0] == "[]"


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_in_both_colour_schemes(written, dark):
    folder, _ = written
    picture = folder / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=800,600", f"--screenshot={picture}"]
    flags += ["--blink-settings=preferredColorScheme=0", "--force-dark-mode"] if dark else []
    page = (folder / "page.html").as_uri()
    subprocess.run([BROWSER, *flags, page], check=True, capture_output=True, timeout=60)
    pixels = image.imread(picture)[..., :3]
    assert pixels.std() > 0.02  # something is on it
    assert (np.median(pixels) < 0.3) == dark


def test_reviews_of_the_project_are_traced_and_drawn(saved_model, tmp_path):
    """The reviews of results/reviews.toml, through a model under directory/, become a result file and a figure."""
    model = TaskPaths("tiny", 3, "imdb").adaptive_models / "run_TARGET2.0_lr"
    shutil.copytree(saved_model, model)
    file = tmp_path / "reviews_imdb_tiny_3.json"
    done = run_here(f"python -m tools.explanations.trace_reviews --MODEL_PATH {model} --SAVE {file}")
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(file.read_text())
    assert result["weights"] == file_checksum(model / "tf_model.h5")
    assert len(result["reviews"]) == 3 and result["task"] == "imdb" and result["model"] == "run_TARGET2.0_lr"
    rows = review_rows(Results([], [], [], [result], [], []))
    assert [row["word"] for row in rows] == [word["word"] for word in result["reviews"][0]["words"]]
    write_figure(tmp_path / "review", pandas.DataFrame(rows), draw_review)
    assert image.imread(tmp_path / "review.png").std() > 0.02
    refused = run_here(f"python -m tools.explanations.trace_reviews --MODEL_PATH {saved_model}")
    assert refused.returncode == 2 and "not under directory/" in refused.stderr


def test_reviews_are_short():
    reviews = tomllib.loads((RESULTS / "reviews.toml").read_text())["review"]
    assert len(reviews) == 3 and all(60 <= len(review["text"].split()) <= 120 for review in reviews)
