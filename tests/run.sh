#!/usr/bin/env bash
# Sets up .venv and runs the tests; arguments go to pytest, for instance -m slow or -k golden.
set -euo pipefail
cd "$(dirname "$0")/.."
source run_files/setup_environment.sh requirements.lock requirements-onnx.lock tests/requirements.lock
ruff check .
ruff format --check .
if [ $# -eq 0 ]; then
  set -- -m "not slow"
fi
exec python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@" # the order of tests/conftest.py
