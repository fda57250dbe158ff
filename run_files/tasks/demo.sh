# The generated task: lengths and rates found on its validation split. Its backbone is untrained, so stage 3 starts from
# stage 1's best epoch; 500 steps are a short run, hence the high speed-up rate.
COMMON=(--MAX_LENGTH 72)
FINE_TUNE=(--EPOCHS 6 --LEARNING_RATE 6e-4 --EVAL_BATCH_SIZE 100 --KEEP_BEST 3)
SALIENCIES=(--BATCH_SIZE 128)
TRAIN_ADAPLER=(--EPOCHS 2 --LEARNING_RATE 3e-4 --GAMMA 0.05 --PHI 0.005 --SPEEDUP_LEARNING_RATE 1e-2)
INITIAL=fine_tuned
CHOOSE_ETA_SCALE=no # the quick start stays short
