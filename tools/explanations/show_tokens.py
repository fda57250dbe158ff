"""Shows which words of a text each layer still runs on: coloured text in the terminal, a web page, or JSON.

python -m tools.explanations.show_tokens --MODEL_PATH DIR --TEXT "some text"
python -m tools.explanations.show_tokens --MODEL_PATH DIR --TASK sst2 --SPLIT validation --INDEX 3 --HTML page.html
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.common.errors import UserError
from tools.runtime.argument_parser import argument_group, flag, parse
from tools.runtime.argument_types import NonNegativeInt, Split


@argument_group("text")
class ShowArguments:
    model_path: Path = flag("AdapLeR: a save_pretrained directory, or the .h5 file beside it")
    text: list[str] | None = flag("a text, or the two of a pair", None)
    task: str | None = flag("take the text from this task", None)
    split: Split = flag("which split of the task", "validation")
    index: NonNegativeInt = flag("row of the split, from 0", 0)
    data_dir: Path | None = flag("folder of local data sets (default: the hub)", None)
    html: Path | None = flag("also write a web page", None)
    json: Path | None = flag("also write words, places and contributions", None)

    def __post_init__(self) -> None:
        if bool(self.text) == bool(self.task):
            raise UserError("give either --TEXT (with two texts for a pair), or --TASK with --SPLIT and --INDEX")


if __name__ == "__main__":
    ARGUMENTS = parse([ShowArguments], __doc__)  # before the imports that take seconds

from tools.common.atomic_files import atomic_write, write_json
from tools.data.rows import DataOptions, load_rows
from tools.data.tasks import get_task
from tools.explanations.token_traces import trace
from tools.explanations.token_views import as_coloured_text, as_page, as_text
from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory
from tools.runtime.stage import run_program


def show_tokens(arguments: ShowArguments) -> None:
    directory = model_directory(arguments.model_path)
    texts = chosen_texts(arguments)
    model, tokenizer = load_saved(directory, converted=True), load_tokenizer(str(directory))
    columns = model.config.text_columns or ["text"]
    if len(texts) != len(columns):
        raise UserError(f"{directory} was trained on {' and '.join(columns)}; {len(texts)} texts were given")
    words = trace(model, tokenizer, texts, model.longest_input)
    if arguments.html:
        with atomic_write(arguments.html) as temporary:
            temporary.write_text(as_page(words), encoding="utf-8")
    if arguments.json:
        write_json(arguments.json, words)
    print(as_coloured_text(words) if sys.stdout.isatty() else as_text(words))


def chosen_texts(arguments: ShowArguments) -> list[str]:
    """The text or pair on the command line, or that of an example.

    Raises:
        UserError: there is no such example.
    """
    if arguments.text:
        return arguments.text
    task = get_task(arguments.task)
    rows = load_rows(task, arguments.split, DataOptions(arguments.data_dir))
    if arguments.index >= len(rows):
        raise UserError(f"--INDEX {arguments.index}: the split has rows 0 to {len(rows) - 1}")
    return [rows[arguments.index][column] for column in task.text_columns]


if __name__ == "__main__":
    run_program(ARGUMENTS, show_tokens)
