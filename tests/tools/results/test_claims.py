"""RESULTS.md and the README claim nothing that the result files do not hold, and leave no uncertainty out."""

import json
import re
import shutil

import numpy as np
import pytest
from scipy import stats

from tests.tools.results.made_results import alternatives_of, made_folder, rationales_of, run_of, write_results
from tools.common.paths import README, RESULTS, RESULTS_PAGE
from tools.results.rationales import claim
from tools.results.result_files import LAYOUT, read_folder
from tools.results.verdict import verdict
from tools.results.write_pages import pages, with_headline

INTERVAL = re.compile(r"[+-]\d+\.\d+ \([+-]\d+\.\d+ to [+-]\d+\.\d+\)")
NO_MEASUREMENTS = {"95", "22"}
"""Numbers that the fixed text may hold: the intervals' level, and the seed in a command."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made_folder(tmp_path_factory.mktemp("results") / "made")


def texts_of(folder) -> dict[str, str]:
    """RESULTS.md and the README's headline about a folder of results."""
    page = RESULTS_PAGE if folder == RESULTS else folder / "RESULTS.md"
    readme = with_headline(README.read_text(encoding="utf-8"), read_folder(folder))
    headline = readme.partition("write_pages -->")[2].partition("<!-- end")[0]
    return {"RESULTS.md": pages(folder, page)[page], "README.md": headline}


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows of all Markdown tables, as title -> cell."""
    rows = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        titles, _, *lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
        rows += [dict(zip(titles, line, strict=True)) for line in lines]
    return rows


def expected_difference(files: list[dict]) -> str:
    """The cell of a mean difference, by other means than the pages'."""
    splits = [run["splits"]["test"] for run in files]
    means = np.array([split["difference"] for split in splits])
    ends = np.array([[split["difference"] - split["low"], split["high"] - split["difference"]] for split in splits])
    spread = 0.0
    if len(means) > 2:
        low, high = stats.t.interval(0.95, len(means) - 1, means.mean(), means.std(ddof=1) / len(means) ** 0.5)
        spread = (high - low) / 2
    below, above = 100 * np.sqrt(ends.mean(axis=0) ** 2 + spread**2)
    mean = 100 * means.mean()
    return f"{mean:+.1f} ({mean - below:+.1f} to {mean + above:+.1f})"


@pytest.mark.parametrize("where", ["committed", "made"])
def test_every_row_is_that_of_the_files(folder, where):
    """Each task's row, in every table of both pages, is recomputed from the task's files."""
    root = RESULTS if where == "committed" else folder
    for page, text in texts_of(root).items():
        rows = [row for row in rows_of(text) if "difference (95 %)" in row]
        assert where == "committed" or len(rows) >= 5, page
        for row in rows:
            files = [json.loads(file.read_text()) for file in sorted(root.glob(f"{row['task']}_*.json"))]
            files = [run for run in files if "splits" in run]
            assert row["difference (95 %)"] == expected_difference(files)
            mean = {
                name: 100 * np.mean([run["splits"]["test"][name] for run in files])
                for name in files[0]["splits"]["test"]
            }
            fine_tuned = f"{mean['fine_tuned']:.1f}"
            assert row.get("fine-tuned", row.get("ours: fine-tuned", fine_tuned)) == fine_tuned
            assert row.get("AdapLeR", row.get("ours: AdapLeR", f"{mean['score']:.1f}")) == f"{mean['score']:.1f}"
            speedup = row.get("asked, reached", row.get("FLOPs speedup"))
            assert speedup is None or speedup.endswith(f"{mean['speedup'] / 100:.2f}x")


@pytest.mark.parametrize("where", ["committed", "made"])
def test_every_row_of_speeds_is_that_of_the_timed_models(folder, where):
    root = RESULTS if where == "committed" else folder
    rows = [row for row in rows_of(texts_of(root)["RESULTS.md"]) if "int8 (95 %)" in row]
    assert rows
    for row in rows:
        (file,) = root.glob(f"alternatives_{row['task']}_*_{row['seed']}.json")
        points = [p for p in json.loads(file.read_text())["points"] if p["method"] == "AdapLeR" and not p["setting"]]
        for engine, precision in (("TensorFlow", "float32"), ("ONNX Runtime", "int8")):
            (point,) = [p for p in points if (p["engine"], p["precision"]) == (engine, precision)]
            values = [100 * point[name] for name in ("difference", "low", "high")]
            assert row[f"{precision} (95 %)"] == "{:+.1f} ({:+.1f} to {:+.1f})".format(*values)
            assert precision == "int8" or row["FLOPs"] == f"{point['flops_speedup']:.2f}x"


def test_the_difference_of_every_committed_run_is_that_of_its_scores():
    for run in read_folder(RESULTS).runs:
        for split in run["splits"].values():
            assert split["difference"] == pytest.approx(split["score"] - split["fine_tuned"], abs=1e-9)
            assert split["low"] <= split["difference"] <= split["high"]


def test_a_changed_number_is_noticed(folder, tmp_path):
    """A file's number changes the pages, so a page that was edited by hand or left behind differs from its files."""
    before = texts_of(folder)
    shutil.copytree(folder, tmp_path / "changed")
    file = tmp_path / "changed" / "imdb_minilm_22.json"
    run = json.loads(file.read_text())
    run["splits"]["test"]["fine_tuned"] += 0.01
    file.write_text(json.dumps(run))
    after = texts_of(tmp_path / "changed")
    assert all(after[page] != text for page, text in before.items())
    readme = with_headline(README.read_text(encoding="utf-8"), read_folder(folder))
    edited = readme.replace("7.07x", "9.99x")
    assert edited != readme and with_headline(edited, read_folder(folder)) == readme


def strings(value) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_fixed_text_holds_no_measured_number():
    fixed = {name: LAYOUT[name] for name in ("introduction", "verdict", "parts", "pages", "sections")}
    text = re.sub(
        r"\{[^}]*\}|`[^`]*`|int8|float32|MiniLM-L6-v2|[Ff]1|p50|p99|sst2|CTranslate2|layer 1, 2",
        "",
        "\n".join(strings(fixed)),
    )
    assert set(re.findall(r"\d+(?:\.\d+)?", text)) <= NO_MEASUREMENTS


@pytest.mark.parametrize("where", ["committed", "made"])
def test_every_row_with_a_score_has_an_interval(folder, where):
    for page, text in texts_of(RESULTS if where == "committed" else folder).items():
        rows = [row for row in rows_of(text) if "why" not in row]
        assert where == "committed" or len(rows) >= (19 if page == "RESULTS.md" else 5)
        for row in rows:
            if row.get("method") == "AdapLeR":  # what the others are compared with
                assert re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", row["FPR"])
                continue
            titles = [title for title in row if title.endswith("(95 %)") or title == "over AdapLeR"]
            assert titles and all(INTERVAL.fullmatch(row[title]) for title in titles), (page, row)


def test_a_run_without_an_interval_is_refused(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    del run["splits"]["test"]["low"]
    with pytest.raises(KeyError, match="low"):
        pages(write_results(tmp_path / "made", [run]), tmp_path / "made" / "RESULTS.md")


def test_superseded_models_do_not_appear_as_current(tmp_path):
    """Runs without intervals, runs in tried/, and comparisons of their models are on the pages of details alone."""
    old, replaced = run_of("mrpc", 23, 2.0, 0.07), run_of("sst2", 23, 2.0, 0.08)
    del old["splits"]
    folder = write_results(tmp_path / "made", [run_of("mrpc", 22, 2.0), old, rationales_of(old)])
    shutil.copy(RESULTS / "precision_ag_news_minilm.json", folder)
    write_results(folder / "tried", [replaced])
    before = write_results(tmp_path / "plain", [run_of("mrpc", 22, 2.0)])
    for page, text in texts_of(folder).items():
        kept = [line for line in text.splitlines() if "waits" not in line and not line.startswith("- Details")]
        plain = texts_of(before)[page].splitlines()
        assert [line for line in kept if line not in plain and "rationales_<" not in line] == []
    texts = {file.name: text for file, text in pages(folder, folder / "RESULTS.md").items()}
    assert "0.9700" in texts["mrpc.md"].partition("## Superseded runs")[2]
    assert "0.9800" in texts["sst2.md"] and "## sst2, minilm" not in texts["sst2.md"]
    assert "(superseded model)" in texts["mrpc.md"] and "(superseded model)" in texts["benchmarks.md"]


def test_committed_pages_show_no_superseded_score():
    results = read_folder(RESULTS)
    assert results.superseded
    current = {(run["task"], f"{100 * split['score']:.1f}") for run in results.runs for split in run["splits"].values()}
    for text in texts_of(RESULTS).values():
        shown = {
            (row["task"], row[title]) for row in rows_of(text) for title in ("AdapLeR", "ours: AdapLeR") if title in row
        }
        for run in results.superseded:
            old = {
                (run["task"], f"{100 * run['adapler'][s].get(run['metric'], -1):.1f}")
                for s in ("validation", "test")
                if s in run["adapler"]
            }
            means = {row for row in shown if len([r for r in results.runs if r["task"] == row[0]]) > 1}
            assert not (old & shown) - current - means


def test_the_results_page_is_short_and_answers_first(folder):
    for root in (RESULTS, folder):
        text = texts_of(root)["RESULTS.md"]
        assert len(text.splitlines()) <= 200
        answers = re.findall(r"^- \*\*(.*?)\.\*\* \S", "\n".join(text.splitlines()[:40]), re.MULTILINE)
        assert answers[:3] == ["Gain and cost", "Goals", "Time"]
        assert answers[3:5] == ["Against plain BERT in int8", "Against smaller models"]
        assert answers[5:] == ["Single short requests", "What was not measured"]


def sentence(folder, name: str) -> str:
    (line,) = [line for line in verdict(read_folder(folder)).splitlines() if line.startswith(f"- **{name}")]
    return line


def test_sentences_of_the_verdict(folder, tmp_path):
    few = [run_of("mrpc", 22, 2.0), run_of("ag_news", 22, 7.0), run_of("scitail", 22, 2.0)]
    goals = sentence(folder, "Goals")
    assert goals.endswith(
        "Reached: imdb, mrpc and scitail; missed: ag_news; undecided, because the 95 % interval contains -1: "
        "hatexplain and sst2."
    )
    goals = sentence(write_results(tmp_path / "few", few), "Goals")
    assert goals.endswith("Not run with the current protocol: sst2, hatexplain and imdb.")
    gain = sentence(folder, "Gain and cost")
    groups = re.findall(r"[-+][\d.]+ \(\w+\) on ([^(]+) \((not distinguishable from zero|a loss|a gain)\)", gain)
    assert groups == [
        ("ag_news, hatexplain and imdb", "a loss"),
        ("mrpc, scitail and sst2", "not distinguishable from zero"),
    ]
    times = sentence(folder, "Time")
    span = "3.00 (ag_news) to 3.00 (sst2) times"
    spans = f"one text {span} as fast as {{}}, and a batch of 32 {span}"
    unpadded = "1.50 (ag_news) to 1.50 (sst2) times"
    assert (
        f"In TensorFlow, AdapLeR answers {spans.format('the plain model')}. Plain BERT also computes padding; without "
        f"any, a batch of 32 is answered {unpadded} as fast." in times
    )
    int8 = sentence(folder, "Against plain BERT in int8")
    assert (
        f"Both in ONNX int8, AdapLeR answers {spans.format('plain BERT')}, or, without padding, {unpadded}. int8 itself"
        in int8
    )
    assert "changes plain BERT's score by +0.0 (ag_news) to +0.0 (sst2) points." in int8
    smaller = sentence(folder, "Against smaller models")
    beaten = "ag_news (3 layers in int8)"
    assert f"AdapLeR in int8: in batches of 32 on {beaten}, one text at a time on {beaten}." in smaller
    assert smaller.endswith("at 2 or more values of `eta_scale` on sst2.")
    missing = sentence(folder, "What was not measured")
    assert "6 layers of 384 units" in missing
    assert "the published training" in missing.lower() and "Training on all rows of" not in missing
    assert "mnli, qnli and dbpedia" in missing and "Times of hatexplain, imdb, mrpc and scitail." in missing
    assert "over seeds of ag_news, hatexplain, imdb, mrpc and scitail, which have fewer than 3." in missing


def test_gains_go_from_the_smallest_to_the_largest(tmp_path):
    fast, slow, middle = run_of("ag_news", 22, 7.0), run_of("mrpc", 22, 2.0), run_of("sst2", 22, 2.0)
    timed = [alternatives_of(fast, ours=10.0), alternatives_of(slow, ours=40.0), alternatives_of(middle)]
    made = write_results(tmp_path / "three", [fast, slow, middle, *timed])
    assert "one text 1.50 (mrpc) to 6.00 (ag_news) times as fast" in sentence(made, "Time")
    alone = write_results(tmp_path / "alone", [slow, timed[1]])
    assert "one text 1.50 (mrpc) times as fast as plain BERT" in sentence(alone, "Against plain BERT in int8")


def test_the_extremes_of_the_rounds_are_shown_where_they_were_recorded(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    result = alternatives_of(run)
    for rounds in ("3.00x", "2.90x (2.50 to 3.50)"):
        rows = rows_of(texts_of(write_results(tmp_path / rounds, [run, result]))["RESULTS.md"])
        assert [row["ONNX int8, batch of 32"] for row in rows if "timed" in row or "FLOPs" in row] == [
            f"60.0 to 20.0 ms, {rounds}"
        ]
        for point in result["points"]:
            point["gains"] = {size: {"median": 2.9, "lowest": 2.5, "highest": 3.5} for size in ("1", "32")}


def test_short_requests_are_those_of_the_inference_benchmark(folder):
    text = sentence(folder, "Single short requests")
    assert "one text of 64 tokens with 5.0 times fewer FLOPs is answered 2.50 times as fast in TensorFlow and" in text
    assert "1.25 times as fast in ONNX int8. A model that drops nothing is 1.00 times as fast in TensorFlow" in text


def test_a_task_that_gains_too_little_on_one_text_is_named(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    slow = alternatives_of(run, ours=58.0)
    made = write_results(tmp_path / "made", [run, slow])
    assert "one text faster than AdapLeR in TensorFlow on mrpc:" in sentence(made, "Against plain BERT in int8")
    text = sentence(made, "Single short requests")
    slow = "1.03 times on mrpc (TensorFlow, float32) and 1.03 times on mrpc (ONNX Runtime, int8)"
    assert text.endswith(f"one text at most 1.1 times as fast as the plain model: {slow}.")


def test_alternatives_that_were_not_trained_are_said(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    for number, left_out in enumerate(([], ["minilm_2_layers"])):
        result = alternatives_of(run)
        result["settings"]["not_trained"] = left_out
        text = sentence(write_results(tmp_path / str(number), [run, result]), "Against smaller models")
        assert ("not compared: 1 on mrpc." in text) == bool(left_out)


def test_one_setting_on_the_front_is_not_enough_to_be_named(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    result = alternatives_of(run)
    assert "values of `eta_scale` on mrpc." in sentence(
        write_results(tmp_path / "two", [run, result]), "Against smaller models"
    )
    result["points"] = [point for point in result["points"] if not point["setting"].startswith("eta_scale")]
    assert "values of `eta_scale` on no task." in sentence(
        write_results(tmp_path / "one", [run, result]), "Against smaller models"
    )


def test_runs_whose_target_dev_did_not_correct_are_said(tmp_path):
    corrected, earlier = run_of("mrpc", 22, 2.0), run_of("scitail", 22, 2.0)
    for run, logged in (corrected, {"correction": 1.1}), (earlier, {}):
        run["tried"][0]["epochs"] = [{"validation": {"accuracy": 0.9, "speedup": 2.0}, "eta": [0.5], **logged}]
    page = texts_of(write_results(tmp_path / "made", [corrected, earlier]))["RESULTS.md"]
    assert "(CHANGELOG.md): scitail." in page
    page = texts_of(write_results(tmp_path / "new", [corrected]))["RESULTS.md"]
    assert "CHANGELOG.md" not in page


def test_looks_at_test_sets_are_all_listed(folder):
    looks = [row for row in rows_of(texts_of(folder)["RESULTS.md"]) if "why" in row]
    assert {(row["task"], row["seeds"]) for row in looks} >= {
        ("sst2", "22 23 24"),
        ("hatexplain", "22 23"),
        ("imdb", "22 23"),
    }
    assert {row["setting"] for row in looks if row["task"] == "sst2"} == {"target 2x", "alternatives"}
    committed = [row for row in rows_of(texts_of(RESULTS)["RESULTS.md"]) if "why" in row]
    assert len(committed) >= 17 and any(row["task"] == "demo" for row in committed)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"]) for row in committed)


def test_the_claim_is_told_as_it_is():
    fewer, more, unclear = {"low": 0.1, "high": 0.2}, {"low": -0.2, "high": -0.1}, {"low": -0.1, "high": 0.1}
    for over, expected in (
        ({"saliency": fewer, "rollout": fewer}, "held. AdapLeR's are fewer than those of “saliency” and “rollout”."),
        (
            {"saliency": fewer, "rollout": more},
            "held in part. AdapLeR's are fewer than those of “saliency”; more than those of “rollout”.",
        ),
        (
            {"saliency": more, "rollout": unclear},
            "did not hold. AdapLeR's are more than those of “saliency”; not distinguishable from those of “rollout”.",
        ),
        (
            {"saliency": unclear, "random": fewer},
            "is undecided. AdapLeR's are not distinguishable from those of “saliency”. "
            "They are fewer than those of random words.",
        ),
    ):
        records = [{"method": method, "over": interval} for method, interval in over.items()]
        assert claim([{"method": "AdapLeR"}, *records]).endswith(expected)
