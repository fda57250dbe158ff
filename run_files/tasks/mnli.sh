# MNLI: gamma and phi are the published README's SST-2 example (nothing is published for this task); rates and epochs
# are the published defaults; length recommended: GLUE sentence pairs.
COMMON=(--MAX_LENGTH 128)
FINE_TUNE=(--EPOCHS 5 --LEARNING_RATE 2e-5)
TRAIN_ADAPLER=(--EPOCHS 5 --LEARNING_RATE 3e-5 --GAMMA 0.005 --PHI 0.0005)
