#!/usr/bin/env bash
# Trains stage 3 in four ways from the same stages 1 and 2: with the published settings; towards the task's target from
# the pretrained backbone; towards it without the fine-tuned model's logits; and with the recipe of a target, which alone
# is scored on test. The summary holds the dev scores of all four, and python -m tools.results.write_pages compares them.
# Usage: run_files/ablation.sh TASK SEED [--FLAG value ...]
# Flags and SETTINGS=file as for run_files/run_task.sh, without a target: it is that of the task file.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -lt 2 ]; then
  sed -n '2,6s/^# //p' run_files/ablation.sh >&2
  exit 2
fi
task=$1 seed=$2
shift 2
source run_files/stages.sh --TARGET "$@"
"$python" -m tools.runtime.forward_flags check "${PUBLISHED[@]}" "${user_flags[@]}"
from_backbone=("${TRAIN_ADAPLER[@]}")
prepare
recipe=("${TRAIN_ADAPLER[@]}")
TRAIN_ADAPLER=("${PUBLISHED[@]}")
train --SAVE_NAME published
TRAIN_ADAPLER=("${from_backbone[@]}")
train --SAVE_NAME from_backbone
TRAIN_ADAPLER=("${recipe[@]}")
train --NO_DISTILL --SAVE_NAME labels_only
train
score
