"""run.json: what a run was asked for, with what, when, and how it ended."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import tensorflow as tf

from tools.common.atomic_files import write_json
from tools.common.provenance import provenance

FINISHED = "finished"
"""`exit` of a run that has run to its end."""

SCORES = "scores.jsonl"
"""Name of the file of scores by epoch, beside run.json."""

NOT_COMPARED = {"resume", "gpu", "multi_gpu", "data_dir", "backbone", "initial_model_path"}
"""Settings that a resumed run may change; of data and weights, checksums are compared instead."""


class RunRecord:
    """Written when a run starts and again when it ends; `exit` says "running" in between, and after a kill."""

    def __init__(self, stage: str, settings: dict, folder: Path):
        self.file = folder / "run.json"
        self.earlier = read(self.file)
        self.values = {
            "stage": stage,
            "argv": sys.argv,
            "settings": settings,
            "seed": settings["data_seed"],
            **provenance(),
            "devices": [device.name for device in tf.config.list_physical_devices()],
            "start": _now(),
            "exit": "running",
        }
        if settings.get("resume"):
            self.values["seconds_before"] = self._spent()

    def write(self, exit_state: str | None = None) -> None:
        """Writes the record, with its end if there is one."""
        if exit_state is not None:
            self.values |= {"exit": exit_state, "end": _now()}
        write_json(self.file, self.values)

    def _spent(self) -> float:
        """Seconds that earlier attempts took; of a killed one, until the last file that it wrote into the folder."""
        if "start" not in self.earlier:
            return 0.0
        last = max(file.stat().st_mtime for file in self.file.parent.iterdir())
        return seconds({"end": datetime.fromtimestamp(last, UTC).isoformat()} | self.earlier)

    def changed_settings(self) -> list[str]:
        """Settings that differ from the folder's earlier run, if there was one, and change what is computed."""
        now, before = self.values["settings"], self.earlier["settings"]
        if not before:
            return []
        names = sorted((now.keys() | before.keys()) - NOT_COMPARED)
        return [name for name in names if now.get(name) != before.get(name)]


def read(file: Path) -> dict:
    """A run.json, or a record without settings if there is no readable one."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"settings": {}, "exit": None}


def seconds(record: dict) -> float:
    """How long a finished run took, with the attempts that it resumed."""
    start, end = (datetime.fromisoformat(record[key]) for key in ("start", "end"))
    return record.get("seconds_before", 0.0) + (end - start).total_seconds()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
