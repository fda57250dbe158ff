#!/usr/bin/env bash
# Runs every stage of a task with the hyper-parameters of run_files/tasks/<task>.sh, then prints the results.
# Usage: run_files/run_task.sh TASK SEED [--FLAG value ...]
# Flags go to each stage that knows them and override the task file's; one that no stage knows is an error.
# SETTINGS=file takes another settings file, for instance SETTINGS=run_files/experiments/sst2_minilm.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -lt 2 ]; then
  sed -n '2,5s/^# //p' run_files/run_task.sh >&2
  exit 2
fi
task=$1 seed=$2
shift 2
settings=${SETTINGS:-run_files/tasks/$task.sh}
if [ ! -f "$settings" ]; then
  echo "error: no settings file $settings; tasks are $(basename -s .sh run_files/tasks/*.sh | paste -sd ' ')" >&2
  exit 2
fi
python=${PYTHON:-python}
given=("$@")
COMMON=() FINE_TUNE=() SALIENCIES=() TRAIN_ADAPLER=() INITIAL=backbone CALIBRATE=yes
source "$settings"
"$python" tools/settings.py check "${COMMON[@]}" "${FINE_TUNE[@]}" "${SALIENCIES[@]}" "${TRAIN_ADAPLER[@]}" "${given[@]}"

# stage NAME SCRIPT [flags]: hands the stage its part of all flags, the user's last, so that they win
stage() {
  local name=$1 script=$2 flags=()
  shift 2
  mapfile -d '' flags < <("$python" tools/settings.py "$name" "${COMMON[@]}" "$@" "${given[@]}")
  "$python" "$script" --TASK "$task" --DATA_SEED "$seed" "${flags[@]}"
}

# last_line COMMAND ...: shows what the command prints and leaves its last line in $result
last_line() {
  result=$("$@" | tee >(cat >&2) | tail -n 1)
}

last_line stage fine_tune ./run_files/run_classification_bert.py "${FINE_TUNE[@]}"
fine_tuned=$result
# INITIAL=fine_tuned in a task file: stage 3 starts from stage 1's best epoch, not from the backbone
if [ "$INITIAL" = fine_tuned ]; then
  TRAIN_ADAPLER+=(--INITIAL_MODEL_PATH "$fine_tuned")
fi
stage store_saliencies ./tools/store_saliencies.py "${SALIENCIES[@]}"
last_line stage train_adapler ./run_files/run_classification_w_lr.py "${TRAIN_ADAPLER[@]}"
adapler=${result%.h5}
if [ "$CALIBRATE" = yes ]; then
  stage calibrate ./tools/calibrate.py --MODEL_PATH "$adapler"
fi
stage evaluate ./run_files/run_classification_evaluation.py --MODEL_PATH "$fine_tuned"
stage evaluate ./run_files/run_classification_evaluation.py --MODEL_PATH "$adapler" --CHECK_LR_MODE
stage summarize ./tools/summarize_run.py --MODEL_PATH "$adapler"
