# A short run of HateXplain for two CPU cores with a six-layer MiniLM, in bfloat16 and in batches of similar length.
#   SETTINGS=run_files/experiments/hatexplain_minilm.sh run_files/run_task.sh hatexplain SEED --BACKBONE DIR [--DATA_DIR DIR]
# Few steps, so the predictors and thresholds have high rates. Stage 3 starts from the backbone, as published: from
# the fine-tuned model it overfits and gets slower models of the same score. The dial may lose half a point on
# dev, not a whole one: with a whole one, phi 0.005 lost twice as much on test as on dev (results/tried/).
COMMON=(--MAX_LENGTH 72 --MAX_LOSS 0.005)
FINE_TUNE=(--MIXED_PRECISION --GROUP_BY_LENGTH --EPOCHS 3 --LEARNING_RATE 5e-5)
TRAIN_ADAPLER=(--MIXED_PRECISION --GROUP_BY_LENGTH --EPOCHS 3 --LEARNING_RATE 5e-5 --CP_LEARNING_RATE 1e-3 --SPEEDUP_LEARNING_RATE 2e-3 --GAMMA 0.05 --PHI 0.003)
