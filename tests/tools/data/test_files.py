"""Rows read one by one are those of `datasets`, and what cannot be read is an error of one sentence."""

import gzip
import json

import datasets
import pytest

from tools.common.errors import UserError
from tools.data.files import find_text_columns, read_file, stream_file, stream_texts

TEXTS = ["good", "", "None", "NA", "a, b", 'a "quoted" word', "two\nlines", "ünï\u2028code", "x" * 200_000, " padded "]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


FILES = {
    "txt": "".join(f"{text}\n" for text in TEXTS),
    "csv": "text,other\n" + "".join(f"{quoted(text)},x\n" for text in TEXTS),
    "tsv": "text\tother\n" + "".join(f"{text}\tx\n" for text in TEXTS if "\n" not in text),
    "jsonl": "".join(f"{json.dumps({'text': text, 'other': 1})}\n" for text in TEXTS),
    "json": json.dumps([{"text": text} for text in TEXTS]),
}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("ending", FILES)
def test_rows_are_those_of_datasets(tmp_path, ending, compressed):
    content = FILES[ending].encode()
    file = tmp_path / (f"in.{ending}.gz" if compressed else f"in.{ending}")
    file.write_bytes(gzip.compress(content) if compressed else content)
    rows = list(stream_file(file))
    assert rows == list(read_file(file)) and len(rows) >= len(TEXTS) - 1


def test_a_byte_order_mark_and_windows_line_ends_are_no_text(tmp_path):
    (tmp_path / "in.csv").write_bytes("\ufefftext\r\ngood\r\n".encode())
    (tmp_path / "in.txt").write_bytes("\ufeffgood\r\n".encode())
    for ending in ("csv", "txt"):
        assert list(stream_file(tmp_path / f"in.{ending}")) == [{"text": "good"}]


def test_texts_come_from_the_columns_of_the_model_or_of_the_user(tmp_path):
    file, lines = tmp_path / "in.csv", tmp_path / "in.txt"
    file.write_text("number,first,second\n1,a,b\n2,c,\n")
    lines.write_text("a\nb\nc\n")
    assert find_text_columns(file, ["second", "first"]) == ["second", "first"]
    assert find_text_columns(file, ["sentence"], ["number"]) == ["number"]
    assert find_text_columns(lines, None) == find_text_columns(lines, ["sentence"]) == ["text"]
    assert list(stream_texts(file, ["second", "first"])) == [("b", "a"), ("", "c")]
    assert list(stream_texts(file, ["number"])) == ["1", "2"]
    assert list(stream_texts(lines, ["text"], start=2)) == ["c"]


@pytest.mark.parametrize(
    "columns, message",
    [
        ((["sentence"],), "no column sentence, which the model was trained on; it has number, text"),
        ((None, ["a", "text"], ": --FLAG"), "no column a; it has number, text: --FLAG"),
    ],
)
def test_missing_columns_are_refused(tmp_path, columns, message):
    (tmp_path / "in.jsonl").write_text('{"number": 1, "text": "a"}\n')
    with pytest.raises(UserError, match=message):
        find_text_columns(tmp_path / "in.jsonl", *columns)


def test_a_row_without_a_text_is_refused(tmp_path):
    file = tmp_path / "in.jsonl"
    for number, row in enumerate(("{}", '{"text": null}', '{"text": 3}')):
        file.write_text('{"text": "a"}\n' * number + row)
        with pytest.raises(UserError, match=rf"in.jsonl: row {number} \(from 0\): column 'text' holds"):
            list(stream_texts(file, ["text"]))
    file.write_text("")
    with pytest.raises(UserError, match="no rows"):
        find_text_columns(file, None)


def test_the_only_column_of_a_csv_needs_the_models_name(tmp_path):
    """Its first line could be a text."""
    for ending, content in (("csv", "a good film\na bad one\n"), ("jsonl", '{"a good film": "a bad one"}\n')):
        file = tmp_path / f"in.{ending}"
        file.write_text(content)
        assert find_text_columns(file, ["text"], ["a good film"]) == ["a good film"]
    assert find_text_columns(file, ["text"]) == ["a good film"]
    with pytest.raises(UserError, match="no column text, which the model was trained on; it has a good film"):
        find_text_columns(tmp_path / "in.csv", ["text"])


def test_half_of_a_character_is_refused_with_its_row(tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "whole \\ud83d\\ude00"}\n{"text": "half \\ud83d"}\n')
    texts = stream_texts(file, ["text"])
    assert next(texts) == "whole \U0001f600"
    with pytest.raises(UserError, match=r"in.jsonl: row 1 \(from 0\): column 'text' holds 'half .ud83d' where a text"):
        next(texts)


def test_parquet_is_read_without_a_cache(tmp_path, monkeypatch):
    datasets.Dataset.from_dict({"text": ["a", "b"], "number": [1, 2]}).to_parquet(tmp_path / "in.parquet")
    monkeypatch.setattr(datasets, "load_dataset", None)
    assert list(stream_file(tmp_path / "in.parquet")) == [{"text": "a", "number": 1}, {"text": "b", "number": 2}]


PACKED = gzip.compress(b"text" * 99, mtime=0)
WRONG = {
    "jsonl": [b'{"text": 1', b"[1]", b"3", b"\xff"],
    "csv": [b'text\n"open', b"text\na,b", b"text\n\xff"],
    "txt": [b"\xff"],
    "txt.gz": [b"no gzip", PACKED[:-9], PACKED[:12] + b"\xff" * 40],
    "docx": [b""],
    "parquet": [b"", b"PAR1"],
}


@pytest.mark.parametrize(
    ("ending", "content"), [(ending, content) for ending, contents in WRONG.items() for content in contents]
)
def test_what_cannot_be_read_is_refused(tmp_path, ending, content):
    file = tmp_path / f"in.{ending}"
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"cannot read {file}"):
        list(stream_file(file))
