"""Scores a folder of Parquet files on Ray, with a model exported to ONNX: a file of answers for each file of texts.

Row i of OUTPUT/name.parquet has the label, score and lengths of row i of INPUT/name.parquet. A file appears when it is
complete; an interrupted run, called again, scores the files that are missing, and those that were changed since. With
RAY_ADDRESS set it runs on that cluster, else on processes of this machine.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import sys
from collections import Counter
from pathlib import Path

from tools.runtime.argument_parser import argument_group, flag, parse
from tools.runtime.argument_types import NonNegativeFloat, PositiveInt


@argument_group("scoring")
class ScoreArguments:
    model_path: Path = flag("a model exported to ONNX")
    input: Path = flag("folder of .parquet files")
    output: Path = flag("folder to write")
    text_columns: list[str] | None = flag("text columns, one or two (default: the model's)", None)
    batch_size: PositiveInt = flag("texts per batch", 32)
    eta_scale: NonNegativeFloat | None = flag("factor on eta, more than 1 is faster (default: the model's)", None)
    int8: bool = flag("run the int8 file", False)
    workers: PositiveInt = flag("processes that score, of one thread each", 2)


if __name__ == "__main__":
    ARGUMENTS = parse([ScoreArguments], __doc__)  # before the imports that take seconds
    if importlib.util.find_spec("ray") is None:
        sys.exit("error: this needs more packages: python -m pip install --require-hashes -r requirements-ray.lock")

import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data

from tools.common.atomic_files import atomic_write
from tools.common.errors import UserError
from tools.inference.onnx_predictor import OnnxPredictor
from tools.inference.resumable_output import file_versions, keep_job
from tools.inference.text_scorer import TextScorer
from tools.runtime.program import run_program

ANSWERS = pa.schema([("label", pa.string()), ("score", pa.float32()), ("lengths", pa.list_(pa.int32()))])
BATCHES_PER_CALL = 32
"""Batches that a worker gets at a time."""


def score(arguments: ScoreArguments) -> None:
    """Writes the files that OUTPUT lacks, and those whose file of texts was changed.

    Raises:
        UserError: the model cannot be loaded or a setting does not fit it, there are no files, INPUT is OUTPUT, a file
            lacks a column or a text or cannot be read, or OUTPUT holds answers of another model or setting, or of a
            job that is not known.
    """
    settings = {
        "directory": str(arguments.model_path.absolute()),
        "batch_size": arguments.batch_size,
        "eta_scale": arguments.eta_scale,
        "precision": "int8" if arguments.int8 else "float32",
        "threads": 1,
    }
    predictor = OnnxPredictor(**settings)  # refuses a wrong setting before anything is written
    text_columns = arguments.text_columns or predictor.text_columns or ["text"]
    pending = rows_of_files(arguments.input, arguments.output, text_columns)
    keep_job(arguments.output, job_of(arguments, text_columns), [Path(path) for path in pending])
    pending = {path: rows for path, rows in pending.items() if not (arguments.output / Path(path).name).exists()}
    for path in [path for path, rows in pending.items() if rows == 0]:
        write_answers(arguments.output / Path(path).name, [])
        del pending[path]
    if pending:
        score_files(pending, TextScorer, {"text_columns": text_columns, **settings}, arguments)
    print(arguments.output)


def rows_of_files(folder: Path, output: Path, text_columns: list[str]) -> dict[str, int]:
    """Path -> number of rows of each Parquet file."""
    if folder.resolve() == output.resolve():
        raise UserError(f"--INPUT and --OUTPUT are both {folder}; name another folder for the answers")
    rows = {}
    for file in sorted(folder.glob("*.parquet")):
        try:
            metadata = pq.read_metadata(file)
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(f"cannot read {file}: {error}") from error
        missing = [column for column in text_columns if column not in metadata.schema.to_arrow_schema().names]
        if missing:
            raise UserError(f"{file} has no column {', '.join(missing)}: --TEXT_COLUMNS")
        for column, nulls in null_counts(metadata).items():
            if nulls and column in text_columns:
                raise UserError(f"{file}: {nulls} rows have no text in column {column!r}; fill or remove them")
        rows[str(file.absolute())] = metadata.num_rows
    if not rows:
        raise UserError(f"--INPUT {folder} is not a folder with .parquet files")
    return rows


def null_counts(metadata: pq.FileMetaData) -> dict[str, int]:
    """Column -> number of nulls, as far as the file's statistics tell."""
    counts: Counter[str] = Counter()
    for group, column in itertools.product(range(metadata.num_row_groups), range(metadata.num_columns)):
        chunk = metadata.row_group(group).column(column)
        if chunk.statistics is not None and chunk.statistics.has_null_count:
            counts[chunk.path_in_schema] += chunk.statistics.null_count
    return counts


def job_of(arguments: ScoreArguments, text_columns: list[str]) -> dict:
    """What the answers depend on, beside their texts."""
    files = sorted(file for file in arguments.model_path.resolve().iterdir() if file.is_file())
    settings = {"text_columns": text_columns, "eta_scale": arguments.eta_scale, "int8": arguments.int8}
    return settings | {"model": file_versions(files)}


def score_files(pending: dict[str, int], scorer: type, scorer_arguments: dict, arguments: ScoreArguments) -> None:
    """Runs the scorer over files, path -> rows, and writes the answers of each file when all of its rows have come."""
    with ray.init(
        num_cpus=None if "RAY_ADDRESS" in os.environ else arguments.workers + 1,  # one to read
        include_dashboard=False,
        logging_level="ERROR",
        log_to_driver=False,
    ):
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        rows_per_call = arguments.batch_size * BATCHES_PER_CALL
        texts = ray.data.read_parquet(list(pending), include_paths=True)
        texts = texts.select_columns([*scorer_arguments["text_columns"], "path"])
        answers = texts.repartition(target_num_rows_per_block=rows_per_call).map_batches(
            scorer,
            fn_constructor_kwargs=scorer_arguments,
            batch_size=rows_per_call,
            compute=ray.data.ActorPoolStrategy(size=arguments.workers),
        )
        collected: dict[str, list[dict]] = {path: [] for path in pending}
        try:
            for row in answers.iter_rows():
                path = row.pop("path")
                collected[path].append(row)
                if len(collected[path]) == pending[path]:
                    write_answers(arguments.output / Path(path).name, collected.pop(path))
        except ray.exceptions.RayError as error:
            reason = re.search(r"^[\w.]*Error: (.*)", str(error), re.MULTILINE)  # the worker's
            raise UserError(f"cannot score {arguments.input}: {reason[1] if reason else error}") from error


def write_answers(file: Path, rows: list[dict]) -> None:
    with atomic_write(file) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, ANSWERS), temporary)


if __name__ == "__main__":
    run_program(ARGUMENTS, score)
