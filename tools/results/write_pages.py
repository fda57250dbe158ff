"""Writes RESULTS.md, a page per task and of benchmarks, the README's headline, and the figures, from results/.

With another folder, such as directory/results, writes all of it but the README into that folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.common.atomic_files import atomic_write
from tools.common.errors import UserError
from tools.common.markdown import markdown
from tools.common.paths import README, RESULTS, RESULTS_PAGE
from tools.common.task_names import GENERATED
from tools.results import alternatives, tables
from tools.results.benchmark_tables import inference_tables
from tools.results.protocol import looks, protocol
from tools.results.rationales import agreement_records, claims
from tools.results.result_files import (
    LAYOUT,
    PAPER,
    Results,
    best_epoch,
    by_backbone,
    flags,
    kind,
    read_folder,
    tradeoff_name,
    training_values,
)
from tools.results.seed_means import ENOUGH_SEEDS, speeds_on_validation
from tools.results.variants import variants_table
from tools.results.verdict import (
    ONE,
    beaten_by,
    cost_of_nothing,
    int8_losses,
    on_front,
    short_requests,
    task_records,
    time_of_flops,
    timed,
    unpadded_sentence,
    verdict,
    without_data,
)
from tools.results.words import listing, span

COLUMNS, PARTS, PAGES = LAYOUT["columns"], LAYOUT["parts"], LAYOUT["pages"]
COMMAND_FLAGS = ("target_speedup", "gamma", "phi", "max_length", "max_train_examples", "max_eval_examples")
COMMAND_FLAGS += ("hold_out", "mixed_precision")
"""Flags of run_task.sh that the recipe or the published settings do not contain."""
SAME_SPEED = 0.005
"""FLOPs speedups that differ by less than this share are the same."""


def pages(folder: Path, output: Path) -> dict[Path, str]:
    """File -> text of the page `output`, of the pages of tasks, and of that of benchmarks."""
    results = read_folder(folder)
    texts = {output: results_page(results, folder, output)}
    home = {"home": output.name, "home_link": output.name if folder == output.parent else f"../{output.name}"}
    for task in results.tasks:
        texts[folder / f"{task}.md"] = task_page(results, task, home)
    texts[folder / "benchmarks.md"] = benchmarks_page(results, home)
    return {file: "\n\n".join(filter(None, map(str.strip, parts))) + "\n" for file, parts in texts.items()}


def results_page(results: Results, folder: Path, output: Path) -> list[str]:
    """Verdict, figure, scores, speeds, the paper's scores, rationales, protocol, looks at test sets, links."""
    link = "" if folder == output.parent else f"{folder.name}/"
    records = task_records(results)
    parts = [LAYOUT["introduction"], *headline(results, link)]
    if records:
        known = {f"{record['constant']:.1f} on {record['task']}": None for record in records if "constant" in record}
        constants = PARTS["constants"].format(list=listing(list(known))) if known else ""
        validation = speeds_on_validation([run for record in records for run in record["runs"]])
        parts.append(PARTS["scores"].format(**LAYOUT["task_goals"], constants=constants, validation=validation))
        parts += [markdown(records, COLUMNS["scores"]), picture("cost", link)]
        with_times = [record for record in records if record["gains"]]
        without = [PARTS["no_speeds"].format(benchmarks=f"{link}benchmarks.md")]
        parts += speeds(results, with_times) if with_times else without
    parts += [*paper_part(records), PARTS["no_help"].format(list=no_help(results, records))]
    parts += rationale_part(results, link)
    parts += [protocol(results), PARTS["looks"], markdown(looks(results), COLUMNS["looks"])]
    links = listing([f"[{task}]({link}{task}.md)" for task in results.tasks])
    return [*parts, PARTS["links"].format(tasks=links, benchmarks=f"{link}benchmarks.md")]


def headline(results: Results, link: str) -> list[str]:
    """Verdict, the table of the tasks that have a goal, and the figure."""
    order = list(LAYOUT["task_goals"]["speedups"])
    records = [record for record in task_records(results) if record["task"] in order]
    records = sorted(records, key=lambda record: order.index(record["task"]))
    table = [markdown(records, COLUMNS["headline"])] if records else []
    figure = [picture("overview", link)] if results.of("alternatives") else []
    return [verdict(results), *table, *figure]


def speeds(results: Results, records: list[dict]) -> list[str]:
    """The table of times, and how many texts they are of."""
    found = {record["name"]: timed(results, record)[0] for record in records}
    texts = {task: result["settings"]["timed_texts"] for task, result in found.items()}
    singles = {task: alternatives.timed_texts(count, ONE) for task, count in texts.items()}
    table = markdown(records, COLUMNS["speed"])
    more = " ".join([unpadded_sentence(records), on_front(results, records), int8_losses(results, records)])
    where = {"machines": listing(sorted({result["machine"].split(", Python")[0] for result in found.values()}))}
    where["versions"] = listing(sorted({result["settings"]["onnxruntime"] for result in found.values()}))
    introduction = PARTS["speeds"].format(timed_texts=span(texts, "{}"), singles=span(singles, "{}"), **where)
    return [introduction, table, " ".join(more.split())]


def picture(name: str, link: str) -> str:
    """A figure of all tasks, with its title."""
    return PARTS["figure"].format(title=PARTS["titles"][name], picture=f"{link}figures/{name}.png")


def paper_part(records: list[dict]) -> list[str]:
    """The paper's scores beside ours, and what the tasks cost that have no result."""
    both = []
    for record in records:
        if record["task"] in PAPER["tasks"]:
            settings = record["runs"][0]["settings"]["train_adapler"]
            both.append(record | PAPER["tasks"][record["task"]] | {"max_length": settings["max_length"]})
    parts = [PARTS["paper"].format(**PAPER), markdown(both, COLUMNS["paper"])] if both else []
    cost, costs = PAPER["cost"], []
    for task in without_data(records):
        rows = PAPER["tasks"][task]["rows"]
        costs.append(f"{rows * cost['passes'] * cost['flops']:.1e} FLOPs for {task} ({rows:,} rows)")
    if costs:
        names = listing(without_data(records))
        parts.append(PARTS["unmeasured"].format(list=names, costs=listing(costs), tokens=cost["tokens"]))
    return ["## Beside the paper", *parts]


def no_help(results: Results, records: list[dict]) -> str:
    """Short requests, smaller models, what the dial cannot do, and the tasks that miss their goal."""
    with_times = [record for record in records if record["gains"]]
    lines = [short_requests(results, with_times), cost_of_nothing(results), time_of_flops(results)]
    lines += [beaten_by(results, with_times)] if with_times else []
    for record in with_times:
        lines += dial_limits(timed(results, record)[0])
    for record in records:
        if record["goal"].startswith("missed"):
            values = "{name}, goal {goal}: {difference:+.1f} points ({low:+.1f} to {high:+.1f}) at {speedup:.2f}x"
            lines.append(f"{values.format(**record)}, {record['mean_lengths'][0]:.0f} tokens a text.")
    return "\n".join(f"- {' '.join(line.split())}" for line in lines if line)


def dial_limits(result: dict) -> list[str]:
    """Sentences about a dial that ends early, and about one that loses score when it is turned down."""
    dial = sorted(result["dial"], key=lambda point: point["eta_scale"])
    task, sentences = result["task"], []
    end = next(point for point in dial if point["flops_speedup"] > (1 - SAME_SPEED) * dial[-1]["flops_speedup"])
    if end is not dial[-1]:
        values = {"eta_scale": end["eta_scale"], "speedup": end["flops_speedup"]}
        sentences.append(PARTS["dial"].format(task=task, **values))
    chosen = next(point["score"] for point in dial if point["eta_scale"] == 1)
    slowest = dial[0]
    if 100 * (chosen - slowest["score"]) > LAYOUT["task_goals"]["loss"]:
        values = {"eta_scale": slowest["eta_scale"], "score": 100 * slowest["score"], "chosen": 100 * chosen}
        values["examples"] = result["examples"]["validation"]
        sentences.append(PARTS["dial_score"].format(task=task, **values))
    return sentences


def rationale_part(results: Results, link: str) -> list[str]:
    """The table of agreement and the claim's verdicts; which tasks wait for a comparison."""
    records, parts = agreement_records(results), []
    if records:
        parts += [PARTS["rationales"], markdown(records, COLUMNS["agreement"])]
        parts += ["\n".join(f"- {sentence}" for sentence in claims(records))]
        parts.append(picture("rationales", link))
    old = {result["task"] for result in results.outdated if kind(result) == "rationales"}
    waiting = sorted(old - {record["task"] for record in records} - {GENERATED})
    if waiting:
        parts.append(PARTS["rationales_wait"].format(tasks=listing(waiting)))
    for result in results.of("reviews")[:1]:  # the figure's
        parts.append(PARTS["review"].format(link=link, task=result["task"]))
        title = PARTS["titles"]["review"].format(**result["reviews"][0])
        parts.append(PARTS["figure"].format(title=title, picture=f"{link}figures/review.png"))
    return ["## Rationales", *parts] if parts else []


def task_page(results: Results, task: str, home: dict) -> list[str]:
    """Flags and results of a task's current runs, figures, comparisons of its models, and superseded runs."""
    runs, compared = ([run for run in group if run["task"] == task] for group in (results.runs, results.ablation))
    parts = [PAGES["task"].format(task=task, **home), *map(run_section, runs)]
    if runs:
        title = PARTS["titles"]["tradeoff"].format(task=task)
        pictures = [f"figures/{tradeoff_name(*key)}.png" for key in by_backbone(runs)]
        parts += [PARTS["figure"].format(title=title, picture=picture) for picture in pictures]
    for (_, backbone), group in by_backbone(runs + compared).items():
        if variants := variants_table(group):
            parts += [PAGES["variants"].format(seeds=ENOUGH_SEEDS, backbone=backbone), variants]
    if compared:
        seeds = " ".join(str(run["seed"]) for run in compared)
        parts += [PAGES["ablation"].format(task=task, seeds=seeds), *map(run_section, compared)]
    for name in ("alternatives", "rationales", "reviews"):
        parts += map(SECTIONS[name], results.of(name, task=task))
    superseded = [run for run in results.superseded if run["task"] == task]
    outdated = [result for result in results.outdated if kind(result) == "rationales" and result["task"] == task]
    if superseded:
        parts += [PAGES["superseded"], tables.superseded_table(superseded)]
    return parts + [old_section(result) for result in outdated]


def benchmarks_page(results: Results, home: dict) -> list[str]:
    """Every measurement of time, memory and robustness, with those of superseded models last."""
    order = [name for name in SECTIONS if name not in ("run", "alternatives", "rationales", "reviews")]
    current = sorted((r for r in results.others if kind(r) in order), key=lambda r: order.index(kind(r)))
    old = [old_section(result) for result in results.outdated if kind(result) in order]
    return [PAGES["benchmarks"].format(**home), *(SECTIONS[kind(r)](r) for r in current), *old]


def old_section(result: dict) -> str:
    """The section of a result of a superseded model, which says so."""
    title, text = SECTIONS[kind(result)](result).split("\n\n", 1)
    return f"{title} (superseded model)\n\n{PAGES['outdated']} {text}"


def with_headline(readme: str, results: Results) -> str:
    """The README's text with the headline table and figure of the results between its two marks.

    Raises:
        UserError: a mark is missing.
    """
    before, start, rest = readme.partition("<!-- headline: written by python -m tools.results.write_pages -->\n")
    _, end, after = rest.partition("<!-- end of headline -->")
    if not start or not end:
        raise UserError(f"{README} lacks a mark of its headline; restore it: git checkout {README.name}")
    parts = headline(results, f"{RESULTS.name}/")
    block = "\n\n".join(filter(None, map(str.strip, parts)))
    return f"{before}{start}{block}\n{end}{after}"


def measured(result: dict, *parts: str, **values) -> str:
    """A section: title, text, and parts; `values` are those that the text needs beside the result's own."""
    texts = LAYOUT["sections"][kind(result)]
    seed = f"seed {result['seed']}" if "seed" in result else None
    subject = [result.get("task"), result.get("backbone"), seed, result.get("model")]
    title = texts["title"] + ", ".join(filter(None, subject))
    age = "" if "version" in result else ", before results recorded a version"
    source = f"Source: `python -m {texts['program']}`. Machine: {result['machine']}; commit {result['commit']}{age}."
    text = texts["text"].strip().format(**(result | values))
    return "\n\n".join([f"## {title}", f"{source}\n{text}".strip(), *parts])


def run_section(summary: dict) -> str:
    """Flags and results of one run, and everything that was tried for it."""
    parts = [tables.run_table(summary), PAGES["epochs"], tables.tried_table(summary)]
    if summary.get("eta_scales"):
        parts += [PAGES["scales"], tables.scales_table(summary["metric"], summary["eta_scales"])]
    stages = {stage: flags(settings) for stage, settings in summary["settings"].items()}
    scores = [f"{score:.4f}" for score in summary.get("fine_tuning_scores", [])]
    values = {"start": training_values(summary["settings"]["train_adapler"])["start"], "command": command(summary)}
    values |= {"best_epoch": best_epoch(summary), "by_epoch": f" of {', '.join(scores)}" if scores else ""}
    return measured(summary, *parts, **stages, **values)


def command(summary: dict) -> str:
    """The paragraph with the command of a run; empty if the layout does not know its backbone."""
    backbone, settings = LAYOUT["backbones"].get(summary["backbone"]), summary["settings"]["train_adapler"]
    if backbone is None:
        return ""
    given = flags({name: settings[name] for name in COMMAND_FLAGS})
    given += f" --BACKBONE {backbone['hub']} --BACKBONE_NAME {summary['backbone']}"
    given += " --DATA_DIR DATA" if settings["data_dir"] else ""
    return PAGES["command"].rstrip().format(**summary, flags=given)


SECTIONS = {
    "run": run_section,
    "inference": lambda result: measured(
        result, inference_tables(result), fewest_rounds=min(point["rounds"] for point in result["points"])
    ),
    "alternatives": lambda result: measured(result, alternatives.tables(result)),
    "training": lambda result: measured(result, tables.training_table(result)),
    "rationales": lambda result: measured(
        result, tables.rationale_table(result), fpr_examples=result["methods"]["AdapLeR"]["fpr"]["examples"]
    ),
    "reviews": lambda result: measured(result, tables.reviews_table(result)),
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
    try:
        write_pages(arguments.folder.resolve(), arguments.check)
    except UserError as error:
        parser.error(str(error))


def write_pages(folder: Path, only_check: bool) -> None:
    """Writes the pages and figures of a folder, or only exits with 1 if a page is out of date and with 0 if none is."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of result files")
    output = RESULTS_PAGE if folder == RESULTS else folder / "RESULTS.md"
    texts = pages(folder, output)
    if output == RESULTS_PAGE:
        texts[README] = with_headline(README.read_text(encoding="utf-8"), read_folder(folder))
    if only_check:
        sys.exit(any(not file.exists() or file.read_text(encoding="utf-8") != text for file, text in texts.items()))
    from tools.results.figures import draw_figures  # takes a second, which --check does not need

    draw_figures(read_folder(folder), folder / "figures")
    for file, text in texts.items():
        with atomic_write(file) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
