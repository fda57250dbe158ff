# A short run of AG News for two CPU cores: 12,000 articles and a six-layer MiniLM.
#   SETTINGS=run_files/experiments/ag_news_minilm.sh run_files/run_task.sh ag_news SEED --BACKBONE DIR [--DATA_DIR DIR]
# Few steps, so stage 3 starts from stage 1's best epoch and the predictors and thresholds have high rates.
COMMON=(--MAX_LENGTH 64 --MAX_TRAIN_EXAMPLES 12000)
FINE_TUNE=(--EPOCHS 1 --LEARNING_RATE 5e-5)
TRAIN_ADAPLER=(--EPOCHS 3 --LEARNING_RATE 5e-5 --CP_LEARNING_RATE 1e-3 --SPEEDUP_LEARNING_RATE 1e-2 --GAMMA 0.05 --PHI 0.005)
INITIAL=fine_tuned
