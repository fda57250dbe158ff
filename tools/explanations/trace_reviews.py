"""Runs a model on the reviews in results/reviews.toml, which were written for this project, and follows their words.

With --SAVE results/reviews_imdb_<backbone>_<seed>.json, tools.results.write_pages draws the first, layer by layer.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from tools.runtime.argument_parser import argument_group, flag, parse


@argument_group("reviews")
class ReviewArguments:
    model_path: Path = flag(
        "AdapLeR under directory/, trained on one text: a save_pretrained directory, or the .h5 file"
    )
    save: Path | None = flag("write the result to this JSON file", None)


if __name__ == "__main__":
    ARGUMENTS = parse([ReviewArguments], __doc__)  # before the imports that take seconds

from tools.common.atomic_files import write_json
from tools.common.errors import UserError
from tools.common.paths import RESULTS, TaskPaths
from tools.common.provenance import provenance
from tools.explanations.token_traces import traces
from tools.explanations.token_views import as_text
from tools.results.tables import reviews_table
from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory, weights_checksum
from tools.runtime.program import run_program


def trace_reviews(arguments: ReviewArguments) -> None:
    directory = model_directory(arguments.model_path)
    paths = TaskPaths.of(directory)
    if paths is None:
        raise UserError(f"{directory} is not under directory/, where its name tells backbone, seed and task")
    model, tokenizer = load_saved(directory, converted=True), load_tokenizer(str(directory))
    reviews = tomllib.loads((RESULTS / "reviews.toml").read_text(encoding="utf-8"))["review"]
    rows = traces(model, tokenizer, [[review["text"].strip()] for review in reviews], model.longest_input)
    names = {"task": paths.task, "backbone": paths.name, "seed": paths.seed, "model": directory.name}
    names["weights"] = weights_checksum(directory)
    answers = []
    for review, row in zip(reviews, rows, strict=True):
        answers.append({"title": review["title"], "expected": review["expected"], **row})
    result = {"kind": "reviews", **names, **provenance(), "reviews": answers}
    if arguments.save:
        write_json(arguments.save, result)
    print("\n\n".join([*map(as_text, rows), reviews_table(result)]))


if __name__ == "__main__":
    run_program(ARGUMENTS, trace_reviews)
