"""Markdown tables."""

from __future__ import annotations

from contextlib import suppress

import pandas


def markdown(records: list[dict], columns: dict[str, str] | None = None) -> str:
    """A table with one row a record; a column without any cell is left out.

    Args:
        columns: column title -> format string over the keys of a record; a record that lacks the key leaves a blank
            cell. By default the keys are the titles and the values the cells.
    """
    rows = [table_row(record, columns) for record in records] if columns else records
    table = pandas.DataFrame(rows, columns=list(columns) if columns else None, dtype=object)
    table = table.dropna(axis="columns", how="all").fillna("")
    return table.to_markdown(index=False, tablefmt="github", disable_numparse=True)


def table_row(record: dict, columns: dict[str, str]) -> dict[str, str]:
    """Column title -> cell of one record."""
    row = {}
    for title, form in columns.items():
        with suppress(KeyError):
            row[title] = form.format(**record)
    return row
