"""RESULTS.md says what the committed result files say, and nothing in them names a machine's paths."""

import pytest

from tools.paths import RESULTS, RESULTS_PAGE
from tools.summarize_run import portable
from tools.write_results import page


def test_results_page_is_up_to_date():
    assert RESULTS_PAGE.read_text(encoding="utf-8") == page(RESULTS)


@pytest.mark.parametrize("file", sorted(RESULTS.glob("*.json")), ids=lambda file: file.stem)
def test_result_files_name_no_paths(file):
    assert '"/' not in file.read_text(encoding="utf-8")


def test_portable():
    assert portable({"a": ["/home/x/model.h5", "b/c", 1], "d": None}) == {"a": ["model.h5", "b/c", 1], "d": None}
