"""What a number was measured with: version, commit, packages, machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

from tools.common import paths

VERSION = "0.8.0"
"""The project's version; CHANGELOG.md says what changed."""

PACKAGES = ("tensorflow", "tf-keras", "transformers", "datasets", "numpy", "scikit-learn")


def provenance() -> dict:
    """The day, the project's version and commit, the versions of its packages, and the machine."""
    return {
        "date": datetime.date.today().isoformat(),
        "version": VERSION,
        "commit": _commit(),
        "versions": {name: _version(name) for name in PACKAGES},
        "machine": f"{os.cpu_count()} cores, {_processor()}, Python {platform.python_version()}",
    }


def _commit() -> str | None:
    """The checkout's commit, followed by `+` if files differ from it; files in results/ do not count."""
    git = ["git", "-C", str(paths.ROOT)]
    status = [*git, "status", "--porcelain", "-uno", "--", ".", ":!results"]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run(status, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        with suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return "unknown"


def _processor() -> str:
    """The processor's name, or else its kind."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
