#!/usr/bin/env bash
# Trains AdapLeR with several settings, compares them on dev alone, and scores the one that is chosen, once, on test.
# Usage: run_files/search.sh TASK SEED "FLAGS OF STAGE 3" ["FLAGS OF STAGE 3" ...] [--FLAG value ...]
# For instance: run_files/search.sh mrpc 22 "--GAMMA 0.05 --PHI 0.001" "--GAMMA 0.05 --PHI 0.005 --EPOCHS 5"
# Other flags hold for all of them; these and SETTINGS=file are as for run_files/run_task.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
source run_files/usage.sh
task=${1:-} seed=${2:-}
shift $(($# < 2 ? $# : 2))
tries=()
while [[ ${1:-} == --*\ * ]]; do
  tries+=("$1")
  shift
done
if [ ${#tries[@]} -eq 0 ]; then
  wrong_usage
fi
source run_files/stages.sh "$@" --PUBLISHED # the settings that are compared have gamma and phi
CHOOSE_ETA_SCALE=yes # its curves are what is compared
for try in "${tries[@]}"; do
  read -ra flags <<< "$try"
  "$python" -m tools.runtime.forward_flags check_try "${TRAIN_ADAPLER[@]}" "${flags[@]}"
done
prepare
models=()
for number in "${!tries[@]}"; do
  read -ra flags <<< "${tries[number]}"
  train "${flags[@]}" --SAVE_NAME "search_$((number + 1))"
  models+=("$adapler")
done
last_line stage choose_model -m tools.evaluation.choose_model --MODEL_PATHS "${models[@]}"
adapler=$result
score
