"""An exported directory for several files."""

import pytest

from tests.tools.inference.exports import RESULTS, export_model


@pytest.fixture(scope="module")
def exported(saved_model, tmp_path_factory):
    return export_model(saved_model, tmp_path_factory.mktemp("onnx") / "exported", results=RESULTS)
