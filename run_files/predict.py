"""Classifies the texts of a file with a saved model, one JSON line per text: index, label, score, lengths.

`index` is the text's row in the input, from 0; `lengths` the tokens that each layer ran on. OUTPUT appears when it is
complete; an interrupted run, called again, continues where it stopped. --SHARD splits an input between machines: the
outputs of all N parts, one after the other, are the output of the whole.
"""

import dataclasses
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import argument_group, flag, parse
from tools.runtime.argument_types import NonNegativeFloat, PositiveInt, Shard


@argument_group("prediction")
class PredictArguments:
    model_path: Path = flag("a save_pretrained directory, the .h5 file beside it, or a model exported to ONNX")
    input: Path = flag("texts: .txt (one per line), .csv, .tsv, .jsonl or .parquet")
    output: Path = flag("file to write")
    text_columns: list[str] | None = flag("text columns, one or two (default: the model's)", None)
    batch_size: PositiveInt = flag("texts per batch", 32)
    eta_scale: NonNegativeFloat | None = flag("factor on eta, more than 1 is faster (default: the model's)", None)
    shard: Shard | None = flag("only the I-th of N parts of the input, from 1", None)


if __name__ == "__main__":
    ARGUMENTS = parse([PredictArguments], __doc__)  # before the imports that take seconds

import numpy as np

from tools.common.errors import UserError
from tools.data.files import read_file
from tools.inference.resumable_output import ResumableOutput
from tools.runtime.program import run_program


def predict(arguments: PredictArguments) -> None:
    if not arguments.input.is_file():
        raise UserError(f"--INPUT {arguments.input} is not a file")
    rows = read_file(arguments.input)
    indices = np.arange(len(rows))
    if arguments.shard:
        indices = np.array_split(indices, arguments.shard.parts)[arguments.shard.number - 1]
    directory, predictor = _load_predictor(arguments)
    columns = arguments.text_columns or _text_columns(directory, rows.column_names)
    missing = [column for column in columns if column not in rows.column_names]
    if missing:
        names = ", ".join(rows.column_names)
        raise UserError(f"{arguments.input} has no column {', '.join(missing)}; --TEXT_COLUMNS can be {names}")
    output = ResumableOutput(arguments.output, _job(arguments, directory, columns))
    remaining = indices[output.done :]
    answers = predictor.stream(_texts(rows.select(remaining), columns))
    lines = ({"index": int(index), **answer} for index, answer in zip(remaining, answers, strict=True))
    try:
        output.write(lines, total=len(indices))
    except ValueError as error:
        raise UserError(f"{arguments.input}: {error}") from error
    print(arguments.output)


def _texts(rows, columns: list[str]):
    """The text of each row, or the pair of texts."""
    for row in rows:
        yield row[columns[0]] if len(columns) == 1 else tuple(row[column] for column in columns)


def _load_predictor(arguments: PredictArguments):
    """The model's directory and its predictor; an exported model needs neither TensorFlow nor its seconds of import."""
    if (arguments.model_path / "model.onnx").exists():
        from tools.inference.onnx_predictor import OnnxPredictor

        return arguments.model_path, OnnxPredictor(arguments.model_path, arguments.batch_size, arguments.eta_scale)
    from models import AdapLeRPredictor
    from tools.runtime.checkpoints import model_directory

    directory = model_directory(arguments.model_path)
    return directory, AdapLeRPredictor(directory, arguments.batch_size, arguments.eta_scale)


def _text_columns(directory: Path, names: list[str]) -> list[str]:
    """The columns that the model was trained on; an only column (lines of a .txt) is the text, whatever its name."""
    expected = json.loads((directory / "config.json").read_text(encoding="utf-8")).get("text_columns") or ["text"]
    return names if len(names) == len(expected) == 1 else expected


def _job(arguments: PredictArguments, directory: Path, columns: list[str]) -> dict:
    """Everything that the answers depend on."""
    files = [arguments.input, *sorted(directory.iterdir())]
    versions = {str(file): [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
    values = json.loads(json.dumps(dataclasses.asdict(arguments), default=str))
    return values | {"text_columns": columns, "files": versions}


if __name__ == "__main__":
    run_program(ARGUMENTS, predict)
