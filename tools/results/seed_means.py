"""Prints means and standard deviations over seeds, from summaries of runs (tools.evaluation.run_summary)."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import pandas

from tools.common.errors import UserError
from tools.common.markdown import markdown
from tools.common.paths import SUMMARIES
from tools.results.result_files import flags, kind, read_results, split_records

GROUP = ["task", "backbone", "rows", "split", "metric", "setting"]


HEADLINE = ["task", "metric", "BERT", "AdapLeR", "difference", "FLOPs speedup"]


def headline_table(results: list[dict]) -> str:
    """The table of the README: scores and speedup of each real task."""
    table = seeds_frame(results)
    return markdown(table[table["task"] != "demo"][HEADLINE].to_dict("records"))


def seeds_table(results: list[dict]) -> str:
    """The table of `seeds_frame`."""
    return markdown(seeds_frame(results).to_dict("records"))


def seeds_frame(results: list[dict]) -> pandas.DataFrame:
    """One row a task, backbone and setting, scored on the test split if its labels are known, otherwise on validation.

    Raises:
        UserError: there is no run, or two results are of one run.
    """
    benchmarks = [result for result in results if kind(result) == "alternatives"]
    runs = pandas.DataFrame([run_values(result, benchmarks) for result in results if kind(result) == "run"])
    if runs.empty:
        raise UserError("there is no summary of a run; run run_files/run_task.sh first")
    for run in runs[runs.duplicated([*GROUP, "seeds"])].itertuples():
        raise UserError(f"two results of {run.task}, {run.backbone} have the same seed {run.seeds}; remove one of them")
    score, speedup = partial(mean_and_deviation, form=".4f"), partial(mean_and_deviation, form=".2f", unit="x")
    cells = {"seeds": join, "BERT": score, "AdapLeR": score, "difference": partial(score, sign="+")}
    cells |= {"FLOPs speedup": speedup, "wall-clock speedup": speedup, "commit": join}
    table = runs.groupby(GROUP, as_index=False).agg(cells).drop(columns="setting")
    table.insert(3, "seeds", table.pop("seeds"))
    return table


def run_values(run: dict, benchmarks: list[dict]) -> dict:
    """What the average over seeds needs of one run: its last split with known labels, and its setting."""
    record = [record for record in split_records(run) if "AdapLeR" in record][-1]
    setting = []
    for stage, settings in run["settings"].items():
        start = bool(settings.get("initial_model_path"))  # the path itself differs from seed to seed
        setting.append(f"{stage} {flags({**settings, 'initial_model_path': start})}")
    speedups = {"FLOPs speedup": record["speedup"], "wall-clock speedup": wall_clock_speedup(run, benchmarks)}
    return {**record, **speedups, "seeds": run["seed"], "rows": str(record["rows"]), "setting": "; ".join(setting)}


def wall_clock_speedup(run: dict, benchmarks: list[dict]) -> float | None:
    """Speed of lr_mode over that of BERT, both in TensorFlow in float32, in batches of 32; None if not measured."""
    names = ("task", "backbone", "seed")
    for benchmark in benchmarks:
        if all(benchmark[name] == run[name] for name in names):
            points = [point for point in benchmark["points"] if point["engine"] == "TensorFlow"]
            times = {
                point["method"]: point["milliseconds"]["32"]["p50"]
                for point in points
                if point["precision"] == "float32"
            }
            return times["BERT"] / times["AdapLeR"]
    return None


def mean_and_deviation(values: pandas.Series, form: str, unit: str = "", sign: str = "") -> str:
    """Mean ± standard deviation; the value itself if there is one, blank if there is none."""
    values = values.dropna()
    mean = f"{values.mean():{sign}{form}}" if len(values) else ""
    return f"{mean} ± {values.std():{form}}{unit}" if len(values) > 1 else mean and mean + unit


def join(values: pandas.Series) -> str:
    """Different values, separated by spaces."""
    return " ".join(str(value) for value in sorted(values.unique()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="summaries (default: all of directory/results/)")
    parser.add_argument("--TASK", "--task", help="only results of this task")
    arguments = parser.parse_args()
    results = read_results(arguments.files or sorted(SUMMARIES.glob("*.json")))
    try:
        print(seeds_table([result for result in results if arguments.TASK in (None, result.get("task"))]))
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
