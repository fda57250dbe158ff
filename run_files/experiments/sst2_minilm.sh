# A short run of SST-2 for two CPU cores: 20,000 rows and a six-layer MiniLM, in bfloat16 and in batches of similar
# length. The test labels are hidden, so 2,000 sentences of the training split are held out to choose on, with all their
# phrases, and the published dev set is the test set, scored once.
#   SETTINGS=run_files/experiments/sst2_minilm.sh run_files/run_task.sh sst2 22 --BACKBONE DIR [--DATA_DIR DIR]
# Few steps, so stage 3 starts from stage 1's best epoch and the predictors and thresholds have high rates.
COMMON=(--MAX_LENGTH 64 --MAX_TRAIN_EXAMPLES 20000 --HOLD_OUT 2000)
FINE_TUNE=(--MIXED_PRECISION --GROUP_BY_LENGTH --EPOCHS 2 --LEARNING_RATE 5e-5)
TRAIN_ADAPLER=(--MIXED_PRECISION --GROUP_BY_LENGTH --EPOCHS 3 --LEARNING_RATE 3e-5 --CP_LEARNING_RATE 1e-3 --SPEEDUP_LEARNING_RATE 2e-3 --GAMMA 0.05 --PHI 0.003)
INITIAL=fine_tuned
