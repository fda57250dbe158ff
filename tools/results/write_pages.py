"""Writes RESULTS.md and results/figures/ from the committed files in results/, as layout.toml says.

With another folder, such as directory/results, writes its RESULTS.md and figures/ into it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.common.atomic_files import atomic_write
from tools.common.paths import README, RESULTS, RESULTS_PAGE
from tools.results import alternatives, tables
from tools.results.benchmark_tables import inference_tables
from tools.results.result_files import LAYOUT, by_section, flags, kind, read_results, training_values
from tools.results.seed_means import headline_table, seeds_table


def page(folder: Path, output: Path = RESULTS_PAGE) -> str:
    """The page `output` about the result files in `folder`, and about those of superseded runs in `folder`/tried."""
    current, superseded = (read_results(sorted(path.glob("*.json"))) for path in (folder, folder / "tried"))
    parts = [LAYOUT["introduction"], seeds_table(current)]
    if superseded:
        parts += [LAYOUT["superseded"], tables.superseded_table(superseded)]
    for (section, task), group in by_section(current):
        parts += map(SECTIONS[section], group)
        for name, figure in LAYOUT["figures"].get(section, {}).items():
            picture = folder / "figures" / f"{task}_{name}.png"
            parts.append(f"![{task}: {figure['caption']}]({picture.relative_to(output.parent)})")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def with_headline(readme: str, results: list[dict]) -> str:
    """The README's text with the headline table and figure of the results between its two marks."""
    before, start, rest = readme.partition("<!-- headline: written by python -m tools.results.write_pages -->\n")
    _, end, after = rest.partition("<!-- end of headline -->")
    block = f"{LAYOUT['headline'].strip()}\n\n{headline_table(results)}\n\n{LAYOUT['headline_figure'].strip()}\n"
    return f"{before}{start}{block}{end}{after}"


def measured(result: dict, *parts: str, **values) -> str:
    """A section: title, text, and parts; `values` are those that the text needs beside the result's own."""
    texts = LAYOUT["sections"][kind(result)]
    seed = f"seed {result['seed']}" if "seed" in result else None
    subject = [result.get("task"), result.get("backbone"), seed, result.get("model")]
    title = texts["title"] + ", ".join(filter(None, subject))
    source = f"Source: `python -m {texts['program']}`. Machine: {result['machine']}; commit {result['commit']}."
    text = texts["text"].strip().format(**(result | values))
    return "\n\n".join([f"## {title}", f"{source}\n{text}".strip(), *parts])


def run_section(summary: dict) -> str:
    """Flags and results of one run, and everything that was tried for it."""
    parts = [tables.run_table(summary)]
    if len(summary["tried"]) > 1:
        parts += ["All settings that were tried, by validation scores:", tables.tried_table(summary)]
    if summary.get("eta_scales"):
        table = tables.scales_table(summary["metric"], summary["eta_scales"])
        parts += ["All values of `eta_scale` that were tried (`python -m tools.evaluation.choose_eta_scale`):", table]
    stages = {stage: flags(settings) for stage, settings in summary["settings"].items()}
    return measured(summary, *parts, **stages, start=training_values(summary["settings"]["train_adapler"])["start"])


def claim(result: dict) -> str:
    """Whether the paper's claim held: fewer false positives than saliency and attention at equal numbers of words.

    By the intervals of the differences, example by example, of the other methods' false positive rates from AdapLeR's.
    """
    methods: dict[str, list[str]] = {"fewer than": [], "more than": [], "about as many as": []}
    for name, difference in result["fpr_over_adapler"].items():
        if name == "random":
            continue
        if difference["low"] > 0:
            methods["fewer than"].append(f"“{name}”")
        elif difference["high"] < 0:
            methods["more than"].append(f"“{name}”")
        else:
            methods["about as many as"].append(f"“{name}”")
    verdicts = [f"{verdict} {', '.join(names)}" for verdict, names in methods.items() if names]
    held = "held in part" if methods["fewer than"] else "did not hold"
    if methods["fewer than"] and len(verdicts) == 1:
        held = "held"
    return f"The paper's claim, fewer false positives, {held}: AdapLeR keeps {'; '.join(verdicts)}."


SECTIONS = {
    "run": run_section,
    "inference": lambda result: measured(result, inference_tables(result)),
    "alternatives": lambda result: measured(result, alternatives.tables(result)),
    "training": lambda result: measured(result, tables.training_table(result)),
    "rationales": lambda result: measured(result, tables.rationale_table(result), claim=claim(result)),
    "loading": lambda result: measured(result, tables.loading_table([result])),
    "precision": lambda result: measured(result, tables.precision_table(result)),
    "faults": lambda result: measured(result, tables.faults_table(result), tables.bad_inputs_table(result)),
}
"""Kind of a result file -> what writes its section."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=RESULTS, help="result files (default: results/)")
    parser.add_argument("--check", "--CHECK", action="store_true", help="only exit with 1 if a page is out of date")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    output = RESULTS_PAGE if folder == RESULTS else folder / "RESULTS.md"
    text = page(folder, output)
    pages = {output: text}
    if output == RESULTS_PAGE:
        pages[README] = with_headline(README.read_text(encoding="utf-8"), read_results(sorted(folder.glob("*.json"))))
    if arguments.check:
        sys.exit(any(not file.exists() or file.read_text(encoding="utf-8") != text for file, text in pages.items()))
    from tools.results.figures import draw_figures  # takes a second, which --check does not need

    draw_figures(read_results(sorted(folder.glob("*.json"))), folder / "figures")
    for file, text in pages.items():
        with atomic_write(file) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
