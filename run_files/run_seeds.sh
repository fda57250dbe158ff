#!/usr/bin/env bash
# Runs every stage of a task with several seeds, then prints mean and standard deviation over the seeds.
# Usage: run_files/run_seeds.sh TASK SEED... [--FLAG value ...]
# Flags as for run_files/run_task.sh. Each run's summary becomes results/<task>_<backbone name>_<seed>.json.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -lt 2 ]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
task=$1
shift
seeds=()
while [ $# -gt 0 ] && [[ $1 != --* ]]; do
  seeds+=("$1")
  shift
done
name=bert flags=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --BACKBONE) name=$(basename "$2") ;;
    --BACKBONE_NAME) name=$2 && break ;;
  esac
  shift
done
files=()
for seed in "${seeds[@]}"; do
  file=results/${task}_${name}_$seed.json
  run_files/run_task.sh "$task" "$seed" "${flags[@]}" --SAVE "$file"
  files+=("$file")
done
exec "${PYTHON:-python}" tools/summarize_runs.py "${files[@]}"
