#!/usr/bin/env bash
# Makes the directories of a task: build_task_dirs.sh NAME TASK SEED, for instance `build_task_dirs.sh bert sst2 22`.
# The stages make the directories that they need themselves.
set -euo pipefail
if [ $# -ne 3 ] || ! [[ $3 =~ ^[0-9]+$ ]]; then
  echo "usage: $0 NAME TASK SEED" >&2
  exit 2
fi
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
command -v "$python" >/dev/null || python=python3
"$python" -m tools.common.paths "$1" "$2" "$3"
