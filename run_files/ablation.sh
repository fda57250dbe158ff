#!/usr/bin/env bash
# Trains stage 3 in four ways from the same stages 1 and 2, all towards the task file's target but the first: with the
# published settings; from the pretrained backbone; without the fine-tuned model's logits; with the recipe. The recipe's
# model alone is scored on test. Dev compares the four on the page of the task: in directory/results/ after
# `python -m tools.results.write_pages directory/results`, or in results/ after --SAVE results/ablation/NAME.json and
# `python -m tools.results.write_pages`, in no mean of RESULTS.md. The published settings are shown once they were run
# with three seeds, because their interval is that over the seeds.
# Usage: run_files/ablation.sh TASK SEED [--FLAG value ...]
# Flags and SETTINGS=file are as for run_files/run_task.sh, without those in which the four differ.
set -euo pipefail
cd "$(dirname "$0")/.."
source run_files/usage.sh
take_task_and_seed "$@"
shift 2
for flag in "${@^^}"; do
  case ${flag%%=*} in
    --TARGET_SPEEDUP | --GAMMA | --PHI | --DISTILL | --NO_DISTILL | --INITIAL_MODEL_PATH | --SAVE_NAME | \
      --LEARNING_RATE | --CP_LEARNING_RATE | --SPEEDUP_LEARNING_RATE | --GROUP_BY_LENGTH)
      echo "error: the ablation itself sets ${flag%%=*}; leave it out" >&2
      exit 2
      ;;
  esac
done
source run_files/stages.sh "$@" --TARGET
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
