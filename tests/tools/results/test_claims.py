"""RESULTS.md and the README claim nothing that the result files do not hold, and leave no uncertainty out."""

import json
import re
import shutil

import numpy as np
import pytest
from scipy import stats

from tests.tools.results.made_results import made_folder, rationales_of, rows_of, run_of, texts_of, write_results
from tools.common.paths import README, RESULTS
from tools.results.result_files import LAYOUT, read_folder
from tools.results.write_pages import pages, with_headline

INTERVAL = re.compile(r"[+-]\d+\.\d+ \([+-]\d+\.\d+ to [+-]\d+\.\d+\)")
NO_MEASUREMENTS = {"95", "22"}
"""Numbers that the fixed text may hold: the intervals' level, and the seed in a command."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made_folder(tmp_path_factory.mktemp("results") / "made")


def welch(known: float, error: float, seeds: int) -> float:
    """Half the width of an interval with a known error and one that so many seeds tell."""
    share = error**2 / (known**2 + error**2)
    return np.hypot(known, error) * (stats.t(df=(seeds - 1) / share**2).ppf(0.975) if share else 1.959964)


def expected_difference(files: list[dict]) -> str:
    """The cell of a mean difference, by other means than the pages'."""
    splits = [run["splits"]["test"] for run in files]
    means = np.array([split["difference"] for split in splits])
    ends = np.array([[split["difference"] - split["low"], split["high"] - split["difference"]] for split in splits])
    below, above = 100 * ends.mean(axis=0)
    if len(means) > 2:
        error = 100 * means.std(ddof=1) / len(means) ** 0.5
        below, above = (welch(half / 1.959964, error, len(means)) for half in (below, above))
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
            each = ", ".join(f"{run['seed']}: {100 * run['splits']['test']['difference']:+.1f}" for run in files)
            assert row.get("seed: difference", each) == each
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
        kept = [
            line for line in text.splitlines() if "waits" not in line and not line.startswith(("- Details", "## Rat"))
        ]
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
        assert answers[:3] == ["Goals", "Gain and cost", "Time"]
        assert answers[3:5] == ["Against plain BERT in int8", "Against smaller models"]
        assert answers[5:] == ["Single short requests", "What was not measured"]
