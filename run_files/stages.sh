# The stages of a task, for the scripts beside it to chain. Sourced from the project's root with $task and $seed set
# and the user's flags as arguments, which are forwarded to every stage that accepts them.
settings=${SETTINGS:-run_files/tasks/$task.sh}
if [ ! -f "$settings" ]; then
  echo "error: no settings file $settings; tasks are $(basename -s .sh run_files/tasks/*.sh | paste -sd ' ')" >&2
  exit 2
fi
python=${PYTHON:-python}

# The published settings: those of the published README's SST-2 example, for every task.
COMMON=() SALIENCIES=()
FINE_TUNE=(--EPOCHS 5 --LEARNING_RATE 2e-5 --CLIP_NORM 0)
TRAIN_ADAPLER=(--EPOCHS 5 --LEARNING_RATE 3e-5 --GAMMA 0.005 --PHI 0.0005)
INITIAL=backbone CHOOSE_ETA_SCALE=yes
# The recipe of a run with a target speedup, for stages 1 and 3; stage 3 starts from the fine-tuned weights.
RECIPE=(--EPOCHS 5 --LEARNING_RATE 1e-4 --GROUP_BY_LENGTH)
TARGET_FINE_TUNE=(--LEARNING_RATE 5e-5) # in stage 1, instead of the rate above; a task file may name another
TARGET=2 USE_TARGET=no
source "$settings"

# --TARGET stands for the task's own --TARGET_SPEEDUP; --PUBLISHED takes the published settings where a target is usual.
user_flags=() before='' asks_for_speed=no
for flag in "$@"; do
  case $before,$flag in
    *,--TARGET | *,--target)
      USE_TARGET=yes
      ;;
    *,--PUBLISHED | *,--published)
      USE_TARGET=no
      ;;
    *,--TARGET_SPEEDUP | *,--target_speedup | *,--TARGET_SPEEDUP=* | *,--target_speedup=*)
      USE_TARGET=yes asks_for_speed=yes
      user_flags+=("$flag")
      ;;
    --TARGET,[!-]* | --target,[!-]*)
      echo "error: --TARGET takes no value; for another speedup than the task's own: --TARGET_SPEEDUP $flag" >&2
      exit 2
      ;;
    *)
      user_flags+=("$flag")
      ;;
  esac
  before=$flag
done
if [ "$USE_TARGET$asks_for_speed" = noyes ]; then
  echo "error: --TARGET_SPEEDUP has no use beside the published settings (--PUBLISHED, run_files/search.sh)" >&2
  exit 2
fi
if [ "$USE_TARGET" = yes ]; then
  PUBLISHED=("${TRAIN_ADAPLER[@]}") # for run_files/ablation.sh
  FINE_TUNE=("${RECIPE[@]}" "${TARGET_FINE_TUNE[@]}")
  TRAIN_ADAPLER=("${RECIPE[@]}" --TARGET_SPEEDUP "$TARGET")
  INITIAL=fine_tuned CHOOSE_ETA_SCALE=no # stage 3 trims the model to its target
fi
"$python" -m tools.runtime.forward_flags check "${COMMON[@]}" "${FINE_TUNE[@]}" "${SALIENCIES[@]}" "${TRAIN_ADAPLER[@]}" "${user_flags[@]}"

# stage NAME SCRIPT|-m MODULE [flags]: runs a stage with the flags that it accepts; the user's win over these, and those
# in $fixed over the user's
fixed=()
stage() {
  local name=$1 script=("$2") flags=()
  shift 2
  if [ "${script[0]}" = -m ]; then
    script+=("$1")
    shift
  fi
  mapfile -d '' flags < <("$python" -m tools.runtime.forward_flags "$name" "${COMMON[@]}" "$@" "${user_flags[@]}" "${fixed[@]}")
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

# train [flags]: stage 3 with these flags fixed, and the speed dial; leaves the model's directory in $adapler
train() {
  local fixed=("$@")
  last_line stage train_adapler ./run_files/run_classification_w_lr.py "${TRAIN_ADAPLER[@]}"
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
