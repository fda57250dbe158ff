#!/usr/bin/env bash
# Runs every stage of a task with several seeds, then prints the means over the seeds with 95 % intervals.
# Usage: run_files/run_seeds.sh TASK SEED... [--FLAG value ...]
# Flags as for run_files/run_task.sh. Each run's summary becomes directory/results/<task>_<backbone name>_<seed>.json; all
# seeds of the task that lie there are in the table.
set -euo pipefail
cd "$(dirname "$0")/.."
source run_files/usage.sh
task=${1:-}
shift || true
seeds=()
while [ $# -gt 0 ] && [[ $1 != --* ]]; do
  seeds+=("$1")
  shift
done
if [ ${#seeds[@]} -eq 0 ]; then
  wrong_usage
fi
for flag in "${@^^}"; do
  if [ "${flag%%=*}" = --SAVE ]; then
    echo "error: every seed would overwrite the file of --SAVE; leave it out: directory/results/ has a file per seed" >&2
    exit 2
  fi
done
for seed in "${seeds[@]}"; do
  run_files/run_task.sh "$task" "$seed" "$@"
done
exec "${PYTHON:-python}" -m tools.results.seed_means --TASK "$task"
