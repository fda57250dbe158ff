"""RESULTS.md says what the committed result files say, and nothing in them names a machine's paths."""

import csv
import json

import pytest

from tools.common.paths import FIGURES, RESULTS, RESULTS_PAGE
from tools.evaluation.run_summary import portable
from tools.results import plot_rationales
from tools.results.benchmark_tables import COMPILED, PACKED
from tools.results.plot_tradeoff import length_rows, plot_task, tradeoff_rows
from tools.results.result_files import is_run, kind, read_results
from tools.results.seed_means import seeds_table
from tools.results.write_pages import page

FILES = sorted(RESULTS.glob("*.json"))
RESULTS_READ = read_results(FILES)
RUNS = [result for result in RESULTS_READ if is_run(result)]
RATIONALES = [result for result in RESULTS_READ if kind(result) == "rationales"]


def assert_figure_shows(stem: str, rows: list[dict]) -> None:
    with open(FIGURES / f"{stem}.csv", encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{key: str(value) for key, value in row.items()} for row in rows]
    assert (FIGURES / f"{stem}.png").stat().st_size > 1000


def test_results_page_is_up_to_date():
    assert RESULTS_PAGE.read_text(encoding="utf-8") == page(RESULTS)


@pytest.mark.parametrize("task", sorted({run["task"] for run in RUNS}))
def test_figures_are_up_to_date(task):
    runs = [run for run in RUNS if run["task"] == task]
    assert_figure_shows(f"{task}_tradeoff", tradeoff_rows(runs))
    assert_figure_shows(f"{task}_lengths", length_rows(runs))


@pytest.mark.parametrize("result", RATIONALES, ids=lambda result: result["task"])
def test_figures_of_rationales_are_up_to_date(result):
    assert_figure_shows(f"{result['task']}_rationales", plot_rationales.rows(result))


def test_figures_and_their_numbers_are_drawn(tmp_path):
    for file in plot_task("some", RUNS[:1], tmp_path):
        assert file.stat().st_size > 1000 and file.with_suffix(".csv").exists()


@pytest.mark.parametrize("file", sorted(RESULTS.rglob("*.json")), ids=lambda file: file.stem)
def test_result_files_name_no_paths(file):
    assert '"/' not in file.read_text(encoding="utf-8")


def test_portable():
    assert portable({"a": ["/home/x/model.h5", "b/c", 1], "d": None}) == {"a": ["model.h5", "b/c", 1], "d": None}


def timed(run: dict, **other) -> dict:
    speeds = {COMPILED: {"speedup": [3.0, 2, 4]}, PACKED: {"speedup": [1.5, 1, 2]}}
    point = {"batch_size": 32, "length": "as in the data", "variants": speeds}
    chosen = run["eta_scales"]["chosen"]
    facts = {"task": run["task"], "model": run["adapler"]["model"].removesuffix(".h5"), "eta_scale": chosen}
    return {"kind": "inference", **facts, "points": [point], **other}


def test_wall_clock_stands_beside_the_run_whose_model_was_timed():
    run = next(run for run in RUNS if run["task"] == "mrpc")
    second = json.loads(json.dumps(run)) | {"seed": 23}
    assert "2.00x" in seeds_table([run, timed(run)])
    assert "2.00 ± 0.00x" in seeds_table([run, second, timed(run, seed=22), timed(run, seed=23)])
    for other in ({"task": "sst2"}, {"seed": 24}, {"backbone": "bert"}, {"eta_scale": 9.0}, {"model": "other"}):
        assert "2.00x" not in seeds_table([run, timed(run, **other)])


def test_only_seeds_of_one_setting_are_averaged():
    run = next(run for run in RUNS if run["task"] == "mrpc")
    second, other = (json.loads(json.dumps(run)) | {"seed": seed} for seed in (98, 99))
    for stage in second["settings"].values():
        stage["data_seed"] = 98
    other["settings"]["train_adapler"]["phi"] = 7
    lines = seeds_table([run, second, other]).splitlines()[2:]
    assert len(lines) == 2 and sum("±" in line for line in lines) == 1
    assert f"| {run['seed']} 98 |" in "\n".join(lines)


def test_a_table_counts_no_run_twice():
    with pytest.raises(Exception, match="same seed"):
        seeds_table(RUNS[:1] * 2)
