#!/usr/bin/env bash
# Fine-tunes the smaller plain models that tools.benchmarks.alternatives compares AdapLeR with: the backbone's first 2, 3
# and 4 layers, and the whole backbone on the first tokens of each text.
# Usage: run_files/train_alternatives.sh TASK SEED [--FLAG value ...]
# Give the flags of the run whose AdapLeR is compared with them: run_files/run_task.sh TASK SEED --TARGET ...
set -euo pipefail
cd "$(dirname "$0")/.."
source run_files/usage.sh
take_task_and_seed "$@"
shift 2
source run_files/stages.sh --TARGET "$@"
plan=$(stage plan_alternatives -m tools.training.plan_alternatives)
while IFS=$'\t' read -ra fixed; do
  stage fine_tune ./run_files/run_classification_bert.py "${FINE_TUNE[@]}" < /dev/null
done < <(grep '^--BACKBONE' <<< "$plan")
