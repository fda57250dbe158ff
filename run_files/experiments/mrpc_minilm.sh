# A short run of MRPC for two CPU cores with a six-layer MiniLM.
#   SETTINGS=run_files/experiments/mrpc_minilm.sh run_files/run_task.sh mrpc SEED --BACKBONE DIR [--DATA_DIR DIR]
# Few steps, so stage 3 starts from stage 1's best epoch and the predictors and thresholds have high rates.
COMMON=(--MAX_LENGTH 128)
FINE_TUNE=(--EPOCHS 4 --LEARNING_RATE 5e-5)
TRAIN_ADAPLER=(--EPOCHS 3 --LEARNING_RATE 3e-5 --CP_LEARNING_RATE 1e-3 --SPEEDUP_LEARNING_RATE 5e-3 --GAMMA 0.05 --PHI 0.001)
INITIAL=fine_tuned
