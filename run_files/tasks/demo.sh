# The generated task. Its backbone is untrained, so rates are high and fine-tuning takes eight epochs. It has no published
# settings.
COMMON=(--MAX_LENGTH 72 --EVAL_BATCH_SIZE 100)
SALIENCIES=(--BATCH_SIZE 128)
RECIPE=(--EPOCHS 2 --LEARNING_RATE 3e-4 --GROUP_BY_LENGTH)
TARGET_FINE_TUNE=(--EPOCHS 8 --LEARNING_RATE 1e-3 --KEEP_BEST 3)
TARGET=3
USE_TARGET=yes
