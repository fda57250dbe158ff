#!/usr/bin/env bash
# Runs every stage of a task with the hyper-parameters of run_files/tasks/<task>.sh, then prints the results.
# Usage: run_files/run_task.sh TASK SEED [--FLAG value ...]
# Flags override the task file's. Each is forwarded to every stage that accepts it; one that no stage accepts is an error.
# SETTINGS=file takes another settings file, for instance SETTINGS=run_files/experiments/sst2_minilm.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -lt 2 ]; then
  sed -n '2,5s/^# //p' run_files/run_task.sh >&2
  exit 2
fi
task=$1 seed=$2
shift 2
source run_files/stages.sh "$@"
prepare
train
score
