"""Shows which words of a text each layer still runs on: coloured text in the terminal, a web page, or JSON.

python tools/show_tokens.py --MODEL_PATH DIR --TEXT "some text"
python tools/show_tokens.py --MODEL_PATH DIR --TASK sst2 --SPLIT validation --INDEX 3 --HTML page.html
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.checkpoints import load_saved, load_tokenizer, model_directory
from tools.data import DataOptions, load_rows
from tools.errors import UserError
from tools.files import replacing, write_json
from tools.runtime import run_program, task_of
from tools.token_provenance import trace
from tools.token_views import as_coloured_text, as_page, as_text


def show_tokens(settings: argparse.Namespace) -> None:
    directory = model_directory(settings.model_path)
    texts = chosen_texts(settings)
    model, tokenizer = load_saved(directory, converted=True), load_tokenizer(str(directory))
    columns = model.config.text_columns or ["text"]
    if len(texts) != len(columns):
        raise UserError(f"{directory} was trained on {' and '.join(columns)}; {len(texts)} texts were given")
    found = trace(model, tokenizer, texts, model.longest_input)
    if settings.html:
        with replacing(settings.html) as temporary:
            temporary.write_text(as_page(found), encoding="utf-8")
    if settings.json:
        write_json(settings.json, found)
    print(as_coloured_text(found) if sys.stdout.isatty() else as_text(found))


def chosen_texts(settings: argparse.Namespace) -> list[str]:
    """The text or pair given, or an example's.

    Raises:
        UserError: neither or both are given, or there is no such example.
    """
    if bool(settings.text) == bool(settings.task):
        raise UserError("give either --TEXT (with two texts for a pair), or --TASK with --SPLIT and --INDEX")
    if settings.text:
        return settings.text
    task = task_of(settings)
    rows = load_rows(task, settings.split or "validation", DataOptions(settings.data_dir))
    if not 0 <= settings.index < len(rows):
        raise UserError(f"--INDEX {settings.index}: the split has rows 0 to {len(rows) - 1}")
    return [rows[settings.index][column] for column in task.text_columns]


if __name__ == "__main__":
    run_program("show_tokens", __doc__, show_tokens)
