#!/usr/bin/env bash
# Runs every stage of a task, then prints the results: with the published settings, or towards a FLOPs speedup with
# --TARGET_SPEEDUP S (or --TARGET, the one in run_files/tasks/<task>.sh). demo and custom have one unless --PUBLISHED.
# Usage: run_files/run_task.sh TASK SEED [--FLAG value ...]
# Flags override the task file's. Each is forwarded to every stage that accepts it; one that no stage accepts is an error.
# SETTINGS=file takes another settings file than run_files/tasks/<task>.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
source run_files/usage.sh
take_task_and_seed "$@"
shift 2
source run_files/stages.sh "$@"
prepare
train
score
