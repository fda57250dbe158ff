"""Writes a lock file: everything that pip would install for some requirements, pinned, with the files' hashes.

    python tools/lock_requirements.py requirements.lock requirements.txt
    python tools/lock_requirements.py tests/requirements.lock requirements.txt tests/requirements.txt

The hashes are those of the files for this machine's Python and platform (Linux x86-64, Python 3.11).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def resolve(requirements: list[str]) -> list[dict]:
    """pip's own report on what it would install into an empty environment."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    flags = [part for file in requirements for part in ("-r", file)]
    done = subprocess.run([*command, *flags], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["install"]


def lines(packages: list[dict]) -> list[str]:
    """`name==version --hash=sha256:...`, by name."""
    pins = []
    for package in packages:
        name, version = (package["metadata"][key] for key in ("name", "version"))
        pins.append(
            f"{name.lower()}=={version} --hash=sha256:{package['download_info']['archive_info']['hashes']['sha256']}"
        )
    return sorted(pins)


def main(output: str, *requirements: str) -> None:
    head = f"# Written by tools/lock_requirements.py from {' and '.join(requirements)}; Linux x86-64, Python 3.11."
    Path(output).write_text("\n".join([head, *lines(resolve(list(requirements)))]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
