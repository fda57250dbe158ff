"""Results of runs and comparisons as Markdown tables."""

from __future__ import annotations

import itertools

import pandas

from tools.common.markdown import markdown
from tools.results.result_files import LAYOUT, chosen_point, split_records, training_values

COLUMNS = LAYOUT["columns"]
ROUNDS = "{0:.2f} ({1:.2f}-{2:.2f})"
"""Median, lowest and highest of the rounds of a measurement."""


def run_table(summary: dict) -> str:
    """Scores of BERT and AdapLeR, speedup, mean tokens, agreement of lr_mode and soft mode, and times of one run."""
    return (
        f"{markdown(split_records(summary), COLUMNS['run'])}\n\n{LAYOUT['pages']['times'].format(**summary['seconds'])}"
    )


def points_table(points: list[dict], columns: dict[str, str], score: str) -> str:
    """Points of speed and score; `score` is the title of the score's column."""
    return markdown(points, {**columns, score: "{score:.4f}", **COLUMNS["remark"]})


def tried_table(summary: dict) -> str:
    """AdapLeR runs of a task: settings, and validation score and speedup of each epoch and of the final model."""
    points = []
    for run in summary["tried"]:
        settings = training_values(run["settings"])
        for epoch, log in enumerate(run["epochs"], start=1):
            values = {"epoch": f"{epoch} of {settings['epochs']}"}
            values |= {"remark": "kept" if epoch == run["chosen_epoch"] else ""}
            points.append({**settings, **log["validation"], "score": log["validation"][summary["metric"]], **values})
        if "trimmed" in run:
            points.append({**settings, **run["trimmed"], "epoch": "", "remark": "final"})
        point = chosen_point(run.get("eta_scales"))
        if point:
            points.append({**settings, **point, "epoch": "", "remark": f"eta_scale {point['eta_scale']:g}"})
    return points_table(points, COLUMNS["tried"], summary["metric"])


def choice_table(curves: dict[str, dict], best: str | None) -> str:
    """The chosen point on each model's curve over eta_scale, by validation scores."""
    points = []
    for model, scales in curves.items():
        values = {"model": model, "fine_tuned": scales["fine_tuned"], "remark": "chosen" if model == best else ""}
        points.append(values | (chosen_point(scales) or {"remark": "loses too much at every eta_scale"}))
    return points_table(points, COLUMNS["choice"], "AdapLeR")


def scales_table(metric: str, scales: dict) -> str:
    """Validation score and speedup at every eta_scale that was tried."""
    chosen = chosen_point(scales)
    points = [{**point, "remark": "chosen" if point is chosen else ""} for point in scales["curve"]]
    return points_table(points, COLUMNS["scales"], metric)


def superseded_table(summaries: list[dict]) -> str:
    """One row a run and scored split: settings, scores of BERT and AdapLeR, FLOPs speedup."""
    records = itertools.chain.from_iterable(map(split_records, summaries))
    return markdown([record for record in records if "AdapLeR" in record], COLUMNS["superseded"])


def rationale_table(result: dict) -> str:
    """Metrics of every method, with bootstrap intervals."""
    return markdown([{"method": name, **values} for name, values in result["methods"].items()], COLUMNS["rationales"])


def reviews_table(result: dict) -> str:
    """The answer to each review, with its speedup and the tokens that each layer ran on."""
    records = []
    for review in result["reviews"]:
        records.append(review | {"tokens": ", ".join(map(str, review["lengths"]))})
    return markdown(records, COLUMNS["reviews"])


def training_table(result: dict) -> str:
    """Milliseconds a batch of each kind of step, and ratios of them."""
    cells = {name: f"{1000 * seconds:.0f} ms a batch" for name, seconds in result["seconds"].items()}
    cells |= {name: ROUNDS.format(*ratio) for name, ratio in result["ratios"].items()}
    return markdown([{"step or ratio": name, "measured": cell} for name, cell in cells.items()])


def faults_table(result: dict) -> str:
    """How often each stage was disturbed and resumed, and what was lost."""
    records = []
    for (stage, fault), group in pandas.DataFrame(result["faults"]).groupby(["stage", "fault"], sort=False):
        lost = ", ".join(sorted(group["lost"].explode().dropna().unique())) or "nothing"
        counts = {"hit": sum(group["exit_code"] != 0), "same": sum(group["lost"].str.len() == 0)}
        records.append({"stage": stage, "fault": fault, "injected": len(group), "lost": lost, **counts})
    return markdown(records, COLUMNS["faults"])


def bad_inputs_table(result: dict) -> str:
    """Exit code and message for each kind of bad input."""
    records = [{**answer, "message": answer["message"].replace("|", "\\|")} for answer in result["bad_inputs"]]
    return markdown(records, COLUMNS["bad_inputs"])


def precision_table(result: dict) -> str:
    """Scores in float32 and bfloat16, and the speedups of bfloat16."""
    records = []
    for name, values in result["precisions"].items():
        records.append({"precision": name, "same": result["same_answers"], "score": values[result["metric"]], **values})
    speedups = [{"step": name, "speedup of bfloat16": ROUNDS.format(*v)} for name, v in result["speedups"].items()]
    return f"{markdown(records, COLUMNS['precision'])}\n\n{markdown(speedups)}"


def loading_table(results: list[dict]) -> str:
    """Sizes, speed and memory of the loader, one row a task."""
    return markdown(results, COLUMNS["loading"])
