"""Keeps what tests write away from the user's directory/ and caches; a saved model for several files."""

import atexit
import os
import shutil
import tempfile

import pytest

os.environ["ADAPLER_DIRECTORY"] = tempfile.mkdtemp(prefix="adapler-tests-")
os.environ["HF_DATASETS_CACHE"] = f"{os.environ['ADAPLER_DIRECTORY']}/datasets"
atexit.register(shutil.rmtree, os.environ["ADAPLER_DIRECTORY"], ignore_errors=True)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

LONGEST = ("test_pipeline", "test_resume", "test_distribution", "test_fine_tuning", "test_rationales")
"""Files that take longest. They come first, so that the last file of one process is a short one."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A directory with a small AdapLeR model that drops tokens, and its tokenizer."""
    from transformers import BertTokenizerFast  # here: the variables above come first

    from models import TFAdapLeRForSequenceClassification
    from tests.tiny_task import write_backbone

    backbone = write_backbone(tmp_path_factory.mktemp("saved") / "backbone")
    model = TFAdapLeRForSequenceClassification.from_pretrained(backbone)
    model.config.update({"id2label": {0: "bad", 1: "good"}, "max_input_length": 9, "text_columns": ["text"]})
    model.to_AdapLeR()
    model.bert.encoder.eta.assign([0.8, 0.9, 0.9])
    for predictor in model.bert.encoder.contribution_predictors:  # so that some tokens fall below
        predictor.score.kernel.assign(50 * predictor.score.kernel)
    saved = backbone.parent / "model"
    model.save_pretrained(saved)
    BertTokenizerFast.from_pretrained(backbone).save_pretrained(saved)
    return saved
