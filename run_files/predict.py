"""Classifies the texts of a file with a saved model, one JSON line per text: index, label, score, lengths.

`index` is the text's row in the input, from 0; `lengths` the tokens that each layer ran on. OUTPUT appears when it is
complete; an interrupted run, called again, continues where it stopped. --SHARD splits an input between machines: the
outputs of all N parts, one after the other, are the output of the whole, but for rounding in TensorFlow.
"""

import dataclasses
import itertools
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
    int8: bool = flag("run the int8 file of a model exported to ONNX", False)
    threads: PositiveInt | None = flag("threads of a model exported to ONNX (default: one per core)", None)
    shard: Shard | None = flag("only the I-th of N parts of the input, from 1", None)


if __name__ == "__main__":
    ARGUMENTS = parse([PredictArguments], __doc__)  # before the imports that take seconds

import numpy as np

from tools.common.errors import UserError
from tools.data.files import find_text_columns, stream_file, stream_texts
from tools.inference.resumable_output import ResumableOutput, file_versions, files_of
from tools.runtime.program import run_program, warn_of_cut_texts


def predict(arguments: PredictArguments) -> None:
    if not arguments.input.is_file():
        raise UserError(f"--INPUT {arguments.input} is not a file")
    if arguments.output.exists() and arguments.output.samefile(arguments.input):
        raise UserError(f"--INPUT and --OUTPUT are both {arguments.input}; name another file for the answers")
    directory, predictor = _load_predictor(arguments)
    columns = find_text_columns(arguments.input, predictor.text_columns, arguments.text_columns, ": --TEXT_COLUMNS")
    indices = np.arange(sum(1 for _ in stream_file(arguments.input)))
    if arguments.shard:
        indices = np.array_split(indices, arguments.shard.parts)[arguments.shard.number - 1]
    output = ResumableOutput(arguments.output, _job(arguments, directory, columns))
    remaining = indices[output.done :]
    texts = stream_texts(arguments.input, columns, start=int(remaining[0]) if len(remaining) else 0)
    answers = predictor.stream(itertools.islice(texts, len(remaining)))
    lines = ({"index": int(index), **answer} for index, answer in zip(remaining, answers, strict=True))
    try:
        output.write(lines, total=len(indices))
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{arguments.input}: {error}") from error
    warn_of_cut_texts(predictor.truncated)
    print(arguments.output)


def _load_predictor(arguments: PredictArguments):
    """The model's directory and its predictor; an exported model needs neither TensorFlow nor its seconds of import.

    Raises:
        UserError: the model cannot be loaded, or a setting does not fit it.
    """
    if (arguments.model_path / "model.onnx").exists():
        try:
            from tools.inference.onnx_predictor import OnnxPredictor
        except ModuleNotFoundError as error:
            raise UserError(
                f"{arguments.model_path} needs the package {error.name}: python -m pip install --require-hashes "
                "-r requirements-onnx.lock"
            ) from error
        precision = "int8" if arguments.int8 else "float32"
        settings = arguments.batch_size, arguments.eta_scale, precision, arguments.threads or 0
        return arguments.model_path, OnnxPredictor(arguments.model_path, *settings)
    if arguments.int8 or arguments.threads:
        flag_name = "--INT8" if arguments.int8 else "--THREADS"
        raise UserError(f"{flag_name} needs a model exported to ONNX; {arguments.model_path} has no model.onnx")
    return _load_tensorflow(arguments)


def _load_tensorflow(arguments: PredictArguments):
    """The same for a directory that `save_pretrained` wrote."""
    from models import AdapLeRPredictor
    from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory

    directory = model_directory(arguments.model_path)
    loaded = {"model": load_saved(directory), "tokenizer": load_tokenizer(str(directory))}
    try:
        return directory, AdapLeRPredictor(directory, arguments.batch_size, arguments.eta_scale, **loaded)
    except ValueError as error:
        raise UserError(f"--ETA_SCALE {arguments.eta_scale} for {directory}: {error}") from error


def _job(arguments: PredictArguments, directory: Path, columns: list[str]) -> dict:
    """Everything that the answers depend on."""
    own = {file.resolve() for file in files_of(arguments.output)}  # may stand in the model's directory
    versions = file_versions([arguments.input, *(f for f in sorted(directory.iterdir()) if f.resolve() not in own)])
    values = json.loads(json.dumps(dataclasses.asdict(arguments), default=str))
    return values | {"text_columns": columns, "files": versions}


if __name__ == "__main__":
    run_program(ARGUMENTS, predict)
