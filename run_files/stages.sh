# The stages of a task, for run_task.sh and search.sh to chain. Sourced from the project's root with $task and $seed set
# and the user's flags as arguments, which are forwarded to every stage that accepts them.
settings=${SETTINGS:-run_files/tasks/$task.sh}
if [ ! -f "$settings" ]; then
  echo "error: no settings file $settings; tasks are $(basename -s .sh run_files/tasks/*.sh | paste -sd ' ')" >&2
  exit 2
fi
python=${PYTHON:-python}
user_flags=("$@")
COMMON=() FINE_TUNE=() SALIENCIES=() TRAIN_ADAPLER=() INITIAL=backbone CHOOSE_ETA_SCALE=yes
source "$settings"
"$python" -m tools.runtime.forward_flags check "${COMMON[@]}" "${FINE_TUNE[@]}" "${SALIENCIES[@]}" "${TRAIN_ADAPLER[@]}" "${user_flags[@]}"

# stage NAME SCRIPT|-m MODULE [flags]: runs a stage with the flags that it accepts; the user's come last, so they win
stage() {
  local name=$1 script=("$2") flags=()
  shift 2
  if [ "${script[0]}" = -m ]; then
    script+=("$1")
    shift
  fi
  mapfile -d '' flags < <("$python" -m tools.runtime.forward_flags "$name" "${COMMON[@]}" "$@" "${user_flags[@]}")
  wait $! || return 2 # a failed selection of flags ends the pipeline
  "$python" "${script[@]}" --TASK "$task" --DATA_SEED "$seed" "${flags[@]}"
}

# last_line COMMAND ...: shows what the command prints and leaves its last line in $result
last_line() {
  result=$("$@" | tee >(cat >&2) | tail -n 1)
}

# prepare: stages 1 and 2; leaves the best fine-tuned weights in $fine_tuned
prepare() {
  last_line stage fine_tune ./run_files/run_classification_bert.py "${FINE_TUNE[@]}"
  fine_tuned=$result
  # INITIAL=fine_tuned in a settings file: stage 3 starts from stage 1's best epoch, not from the backbone
  if [ "$INITIAL" = fine_tuned ]; then
    TRAIN_ADAPLER+=(--INITIAL_MODEL_PATH "$fine_tuned")
  fi
  stage store_saliencies ./tools/store_saliencies.py "${SALIENCIES[@]}"
}

# train [flags]: stage 3 and the speed dial; leaves the model's directory in $adapler
train() {
  last_line stage train_adapler ./run_files/run_classification_w_lr.py "${TRAIN_ADAPLER[@]}" "$@"
  adapler=${result%.h5}
  if [ "$CHOOSE_ETA_SCALE" = yes ]; then
    stage choose_eta_scale -m tools.evaluation.choose_eta_scale --MODEL_PATH "$adapler"
  fi
}

# score: stage 4 of $fine_tuned and $adapler, and the summary of both
score() {
  stage evaluate ./run_files/run_classification_evaluation.py --MODEL_PATH "$fine_tuned"
  stage evaluate ./run_files/run_classification_evaluation.py --MODEL_PATH "$adapler" --CHECK_LR_MODE
  stage summarize -m tools.evaluation.run_summary --MODEL_PATH "$adapler"
}
