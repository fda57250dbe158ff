"""Shows which words of texts each layer still runs on: coloured text in the terminal, a web page, or JSON.

The web page has a slider for eta_scale, from 0 to 2. Texts come from the command line, from a file, or from a task:

python -m tools.explanations.show_tokens --MODEL_PATH DIR --TEXT "some text"
python -m tools.explanations.show_tokens --MODEL_PATH DIR --INPUT texts.csv --HTML page.html
python -m tools.explanations.show_tokens --MODEL_PATH DIR --TASK sst2 --SPLIT validation --COUNT 20 --HTML page.html
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from tools.common.errors import UserError
from tools.runtime.argument_parser import argument_group, flag, given, parse
from tools.runtime.argument_types import NonNegativeInt, PositiveInt, Split

MOST_TEXTS = 100


@argument_group("text")
class ShowArguments:
    model_path: Path = flag("AdapLeR: a save_pretrained directory, or the .h5 file beside it")
    text: list[str] | None = flag("a text, or the two of a pair", None)
    input: Path | None = flag("take the texts from this .txt (one per line), .csv, .tsv, .jsonl or .parquet", None)
    task: str | None = flag("take the texts from this task", None)
    split: Split = flag("which split of the task", "validation")
    index: NonNegativeInt = flag("first row of the split or file, from 0", 0)
    count: PositiveInt | None = flag(f"so many rows (default: of a task 1, of a file all; at most {MOST_TEXTS})", None)
    data_dir: Path | None = flag("folder of local data sets (default: the hub)", None)
    html: Path | None = flag("also write a web page with a slider for eta_scale", None)
    json: Path | None = flag("also write words, places and contributions", None)

    def __post_init__(self) -> None:
        if sum(source is not None for source in (self.text, self.input, self.task)) != 1:
            raise UserError(
                "give one of --TEXT (with two texts for a pair), --INPUT, and --TASK with --SPLIT and --INDEX"
            )
        idle = () if self.task else ("split", "data_dir") if self.input else ("split", "data_dir", "index", "count")
        for name in given(self, idle):
            raise UserError(f"{name} has no use with {'--INPUT' if self.input else '--TEXT'}; leave one of them out")
        written = [file for file in (self.html, self.json) if file and self.input and file.exists()]
        if any(file.samefile(self.input) for file in written):
            raise UserError(f"{self.input} is the file of --INPUT; name another file for what is written")


if __name__ == "__main__":
    ARGUMENTS = parse([ShowArguments], __doc__)  # before the imports that take seconds

import numpy as np
from tqdm import tqdm

from tools.common.atomic_files import atomic_write, write_json
from tools.data.files import find_text_columns, stream_file, stream_texts
from tools.data.rows import DataOptions, load_rows
from tools.data.tasks import get_task
from tools.explanations.token_traces import traces
from tools.explanations.token_views import as_coloured_text, as_page, as_text
from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory
from tools.runtime.program import run_program, warn_of_cut_texts

SCALES = [round(scale, 2) for scale in np.linspace(0, 2, 41).tolist()]
BATCH_SIZE = 10


def show_tokens(arguments: ShowArguments) -> None:
    directory = model_directory(arguments.model_path)
    model, tokenizer = load_saved(directory, converted=True), load_tokenizer(str(directory))
    columns = model.config.text_columns or ["text"]
    examples = chosen_texts(arguments, columns)
    if len(examples[0]) != len(columns):
        raise UserError(f"{directory} was trained on {' and '.join(columns)}; {len(examples[0])} texts were given")

    def run(scale: float | None = None) -> list[dict]:
        batches = [examples[start : start + BATCH_SIZE] for start in range(0, len(examples), BATCH_SIZE)]
        return [row for batch in batches for row in traces(model, tokenizer, batch, model.longest_input, scale)]

    rows = run()
    if arguments.html:
        scales = sorted({*SCALES, model.eta_scale})
        by_scale = {scale: run(scale) for scale in tqdm(scales, desc="eta_scale", leave=False)}
        with atomic_write(arguments.html) as temporary:
            temporary.write_text(as_page(by_scale, model.eta_scale), encoding="utf-8")
    if arguments.json:
        write_json(arguments.json, rows)
    print("\n\n".join(map(as_coloured_text if sys.stdout.isatty() else as_text, rows)))
    warn_of_cut_texts(sum(row["cut"] for row in rows))


def chosen_texts(arguments: ShowArguments, columns: list[str]) -> list[list[str]]:
    """The text or pair on the command line, or those of the rows of a file or task.

    Raises:
        UserError: there is no such row or column, a row has no text, or there are too many rows.
    """
    if arguments.text:
        return [arguments.text]
    if arguments.task:
        task = get_task(arguments.task)
        rows = load_rows(task, arguments.split, DataOptions(arguments.data_dir))
        number = len(rows)
        texts = ([row[column] for column in task.text_columns] for row in rows.skip(min(arguments.index, number)))
    else:
        columns = find_text_columns(arguments.input, columns)
        number = sum(1 for _ in stream_file(arguments.input))
        rows = stream_texts(arguments.input, columns, arguments.index)
        texts = ([text] if isinstance(text, str) else list(text) for text in rows)
    if arguments.index >= number:
        raise UserError(f"--INDEX {arguments.index}: there are rows 0 to {number - 1}")
    count = min(arguments.count or (1 if arguments.task else number), number - arguments.index)
    if count > MOST_TEXTS:
        raise UserError(f"{count} texts are too many for one page; --COUNT {MOST_TEXTS} is the most")
    return list(itertools.islice(texts, count))


if __name__ == "__main__":
    run_program(ARGUMENTS, show_tokens)
