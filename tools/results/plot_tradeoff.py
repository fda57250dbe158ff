"""Figures of score against speedup, and of tokens left per layer, from committed or fresh results.

Takes summaries that tools/summarize_run.py wrote, which hold the curves of tools/calibrate.py; writes
<OUTPUT>/<task>_tradeoff.png and <task>_lengths.png and, beside each, the numbers in it as .csv.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.results.figures import draw_lines, results_and_output, write_figure
from tools.results.result_files import is_run


def plot_task(task: str, summaries: list[dict], output: Path) -> list[Path]:
    """Both figures of one task; gives the files."""
    return [
        write_figure(output / f"{task}_tradeoff", tradeoff_rows(summaries), _draw_tradeoff(summaries[0]["metric"])),
        write_figure(output / f"{task}_lengths", length_rows(summaries), _draw_lengths),
    ]


def tradeoff_rows(summaries: list[dict]) -> list[dict]:
    """Every epoch of every run that was tried, and every factor on eta, by its dev score and FLOPs speedup."""
    rows = []
    for summary in summaries:
        metric, whose = summary["metric"], _whose(summary)
        rows.append(_row(f"BERT, {whose}", "fine-tuned", summary["bert"]["validation"], metric))
        for run in summary["tried"]:
            settings = run["settings"]
            series = f"{settings['save_name']}: gamma {settings['gamma']}, phi {settings['phi']}, {whose}"
            epochs = enumerate(run["epochs"], start=1)
            rows += [_row(series, f"epoch {number}", epoch["validation"], metric) for number, epoch in epochs]
        for point in (summary.get("eta_scales") or {}).get("curve", []):
            rows.append(_row(f"eta scale, {whose}", f"{point['eta_scale']:g}", point, metric))
    return rows


def length_rows(summaries: list[dict]) -> list[dict]:
    """Mean tokens that each layer of the evaluated model ran on; layer 0 is the input."""
    return [
        {"series": _whose(summary), "layer": layer, "tokens": tokens}
        for summary in summaries
        for layer, tokens in enumerate(summary["adapler"]["validation"]["mean_lengths"])
    ]


def _whose(summary: dict) -> str:
    return f"{summary['backbone']}, seed {summary['seed']}"


def _row(series: str, point: str, values: dict, metric: str) -> dict:
    return {"series": series, "point": point, "speedup": values["speedup"], "score": values[metric]}


def _draw_tradeoff(metric: str):
    def draw(axes, rows: list[dict]) -> None:
        draw_lines(axes, rows, "speedup", "score", lambda series: "-" if series.startswith("eta scale") else "")
        axes.set(xlabel="FLOPs speedup", ylabel=f"dev {metric}")

    return draw


def _draw_lengths(axes, rows: list[dict]) -> None:
    draw_lines(axes, rows, "layer", "tokens")
    axes.set(xlabel="layer (0 is the input)", ylabel="mean tokens left")
    axes.set_ylim(bottom=0)


def main() -> None:
    results, output = results_and_output(__doc__)
    tasks: dict[str, list[dict]] = {}
    for summary in filter(is_run, results):
        tasks.setdefault(summary["task"], []).append(summary)
    for task, summaries in tasks.items():
        print(*plot_task(task, summaries, output), sep="\n")


if __name__ == "__main__":
    main()
