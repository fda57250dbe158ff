#!/usr/bin/env bash
# From nothing to a result: makes .venv, then runs every stage on the generated task `demo`, with no network but for the
# installation. About five minutes on 2 CPU cores. Safe to run again; after a kill during training, add --RESUME.
# Usage: run_files/quickstart.sh [--FLAG value ...]
# Flags as for run_files/run_task.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
source run_files/usage.sh
source run_files/setup_environment.sh requirements.lock
exec run_files/run_task.sh demo 22 "$@"
