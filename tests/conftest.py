"""Keeps what tests write away from the user's directory/."""

import os
import tempfile

os.environ["ADAPLER_DIRECTORY"] = tempfile.mkdtemp(prefix="adapler-tests-")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
