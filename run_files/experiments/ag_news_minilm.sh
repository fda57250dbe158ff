# A short run of AG News for two CPU cores: 12,000 articles and a six-layer MiniLM, in bfloat16 and in batches
# of similar length.
#   SETTINGS=run_files/experiments/ag_news_minilm.sh run_files/run_task.sh ag_news SEED --BACKBONE DIR [--DATA_DIR DIR]
# Few steps, so all rates of stage 3 are high; it starts from the backbone, as published.
COMMON=(--MAX_LENGTH 64 --MAX_TRAIN_EXAMPLES 12000)
FINE_TUNE=(--MIXED_PRECISION --GROUP_BY_LENGTH --EPOCHS 1 --LEARNING_RATE 5e-5)
TRAIN_ADAPLER=(--MIXED_PRECISION --GROUP_BY_LENGTH --EPOCHS 3 --LEARNING_RATE 1e-4 --CP_LEARNING_RATE 1e-3 --SPEEDUP_LEARNING_RATE 3e-3 --GAMMA 0.05 --PHI 0.005)
