"""An exported directory for several files."""

import pytest

from tests.tools.inference.exports import export_model, results_of


@pytest.fixture(scope="module")
def exported(saved_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    results = results_of(saved_model, folder / "results.json", {"hold_out": 30})
    return export_model(saved_model, folder / "exported", results=results)
