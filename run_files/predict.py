"""Classifies the texts of a file with a saved model, one JSON line a text: index, label, score, lengths.

`index` is the text's row in the input, from 0; `lengths` the tokens that each layer ran on. OUTPUT appears when it is
complete; an interrupted run, called again, carries on where it stopped. --SHARD splits an input between machines: the
outputs of all N parts, one after the other, are the output of the whole.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from models import AdapLeRPredictor
from tools.checkpoints import model_directory
from tools.data import read_file
from tools.errors import UserError
from tools.resumable_output import ResumableOutput
from tools.run_record import as_json
from tools.runtime import run_program


def predict(settings: argparse.Namespace) -> None:
    directory = model_directory(settings.model_path)
    if not settings.input.is_file():
        raise UserError(f"--INPUT {settings.input} is not a file")
    rows = read_file(settings.input)
    indices = np.arange(len(rows))
    if settings.shard:
        part, parts = settings.shard
        indices = np.array_split(indices, parts)[part - 1]
    predictor = AdapLeRPredictor(directory, settings.batch_size, settings.eta_scale)
    columns = settings.text_columns or _text_columns(predictor.model.config, rows.column_names)
    if missing := [column for column in columns if column not in rows.column_names]:
        raise UserError(
            f"{settings.input} has no column {', '.join(missing)}; --TEXT_COLUMNS can be {', '.join(rows.column_names)}"
        )
    output = ResumableOutput(settings.output, _job(settings, directory, columns))
    left = indices[output.done :]
    texts = (
        row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns) for row in rows.select(left)
    )
    answers = ({"index": int(i), **answer} for i, answer in zip(left, predictor.stream(texts), strict=True))
    try:
        output.write(answers, total=len(indices))
    except ValueError as error:
        raise UserError(f"{settings.input}: {error}") from error
    print(settings.output)


def _text_columns(config, found: list[str]) -> list[str]:
    """The columns of the model's own data; an only column (a .txt's lines) is the text whatever it is called."""
    expected = config.text_columns or ["text"]
    return found if len(found) == len(expected) == 1 else expected


def _job(settings: argparse.Namespace, directory: Path, columns: list[str]) -> dict:
    """Everything that the answers depend on."""
    files = [settings.input, *sorted(directory.iterdir())]
    versions = {str(file): [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
    return as_json(settings) | {"text_columns": columns, "files": versions}


if __name__ == "__main__":
    run_program("predict", __doc__, predict)
