"""Means and standard deviations over seeds, from the summaries that tools/summarize_run.py wrote."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.common.errors import UserError
from tools.common.markdown import markdown
from tools.common.paths import SUMMARIES
from tools.results.benchmark_tables import COMPILED, PACKED
from tools.results.result_files import is_run, kind, read_results, training_rows

HEAD = (
    *("task", "backbone", "rows", "seeds", "split", "metric", "BERT", "AdapLeR", "difference", "FLOPs speedup"),
    *("wall-clock speedup", "commit"),
)
OF_ONE_RUN = ("data_seed", "data_dir", "gpu", "resume", "save_name")
"""Flags in which runs of one setting may differ."""
TIMED_BATCH = 32
"""Examples per batch of the wall-clock speedup."""


def seeds_table(results: Iterable[dict]) -> str:
    """One row a task, backbone and setting, scored on the split that nothing was chosen on, where its labels are known.

    The wall-clock speedup is that of tools/benchmark_inference.py on the task's dev set, where it ran on a run's model:
    lr_mode against BERT, both compiled and without padding, as FLOPs are counted; batches of 32.

    Raises:
        UserError: two results are of one run.
    """
    results = list(results)
    summaries = [result for result in results if is_run(result)]
    timed = [result for result in results if kind(result) == "inference"]
    groups: dict[tuple, list[dict]] = {}
    for summary in summaries:
        key = summary["task"], summary["backbone"], reported_split(summary), _setting(summary)
        groups.setdefault(key, []).append(summary)
    rows = [_row(*key[:3], runs, timed) for key, runs in sorted(groups.items())]
    return markdown([HEAD, *rows])


def wall_clock(result: dict) -> float | None:
    """lr_mode's speed over packed BERT's that an inference benchmark found on a task's own lengths."""
    for point in result["points"]:
        if point["batch_size"] == TIMED_BATCH and isinstance(point["length"], str):
            reduced, packed = (point["variants"][name]["speedup"][0] for name in (COMPILED, PACKED))
            return reduced / packed
    return None


def _setting(summary: dict) -> tuple[tuple[str, str, str], ...]:
    """What a run was asked for, in any stage; runs that differ in their seed alone have the same."""
    return tuple(
        sorted(
            (stage, name, "given" if name == "initial_model_path" else str(value))
            for stage, settings in summary["settings"].items()
            for name, value in settings.items()
            if value and name not in OF_ONE_RUN
        )
    )


def reported_split(summary: dict) -> str:
    """test where its labels are known, else validation."""
    return "test" if summary["metric"] in summary["adapler"].get("test", {}) else "validation"


def _is_of(timed: dict, run: dict) -> bool:
    """Whether an inference benchmark timed a run's model, at its speed; one elsewhere knows no backbone or seed."""
    model = Path(run["adapler"]["model"]).name.removesuffix(".h5")
    chosen = (run["eta_scales"] or {}).get("chosen")
    facts = {"backbone": run["backbone"], "seed": run["seed"], "eta_scale": 1.0 if chosen is None else chosen}
    same = (timed.get("task"), timed["model"]) == (run["task"], model)
    return same and all(timed.get(name) in (None, value) for name, value in facts.items())


def _row(task: str, backbone: str, split: str, runs: list[dict], timed: list[dict]) -> tuple:
    metric = runs[0]["metric"]
    bert, adapler = ([run[model][split][metric] for run in runs] for model in ("bert", "adapler"))
    differences = [after - before for before, after in zip(bert, adapler, strict=True)]
    speedups = [run["adapler"][split]["speedup"] for run in runs]
    cells = _mean(bert, ".4f"), _mean(adapler, ".4f"), _mean(differences, "+.4f"), _mean(speedups, ".2f") + "x"
    if len({run["seed"] for run in runs}) < len(runs):
        raise UserError(f"two results of {task}, {backbone} have the same seed")
    walls = [wall for run in runs for one in timed if _is_of(one, run) and (wall := wall_clock(one))]
    seeds = " ".join(str(run["seed"]) for run in runs)
    commits = " ".join(sorted({str(run["commit"]) for run in runs}))
    whose = task, backbone, training_rows(runs[0]), seeds, split, metric
    return (*whose, *cells, _mean(walls, ".2f") + "x" if walls else "", commits)


def _mean(values: list[float], form: str) -> str:
    mean = format(statistics.fmean(values), form)
    return f"{mean} ± {format(statistics.stdev(values), form.lstrip('+'))}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="summaries (default: all of directory/results/)")
    parser.add_argument("--TASK", help="only this task's")
    arguments = parser.parse_args()
    results = read_results(arguments.files or sorted(SUMMARIES.glob("*.json")))
    print(seeds_table(result for result in results if arguments.TASK in (None, result.get("task"))))


if __name__ == "__main__":
    main()
