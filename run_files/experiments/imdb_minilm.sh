# A short run of IMDB for two CPU cores: 5,000 reviews cut to 256 tokens, scored on 2,000 of the 25,000 test reviews,
# and a six-layer MiniLM; stage 3 in bfloat16 and in batches of similar length.
#   SETTINGS=run_files/experiments/imdb_minilm.sh run_files/run_task.sh imdb SEED --BACKBONE DIR [--DATA_DIR DIR]
# Few steps, so stage 3 starts from stage 1's best epoch and the predictors and thresholds have high rates.
COMMON=(--MAX_LENGTH 256 --MAX_TRAIN_EXAMPLES 5000 --MAX_EVAL_EXAMPLES 2000)
FINE_TUNE=(--EPOCHS 1 --LEARNING_RATE 1e-4)
TRAIN_ADAPLER=(--MIXED_PRECISION --GROUP_BY_LENGTH --EPOCHS 3 --LEARNING_RATE 1e-4 --CP_LEARNING_RATE 1e-3 --SPEEDUP_LEARNING_RATE 3e-3 --GAMMA 0.05 --PHI 0.005)
INITIAL=fine_tuned
