# HateXplain: the length of the published README's evaluation example; gamma and phi are its SST-2 example.
COMMON=(--MAX_LENGTH 72)
FINE_TUNE=(--EPOCHS 5 --LEARNING_RATE 2e-5)
TRAIN_ADAPLER=(--EPOCHS 5 --LEARNING_RATE 3e-5 --GAMMA 0.005 --PHI 0.0005)
