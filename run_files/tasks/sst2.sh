# SST-2: length, gamma and phi of the published README's example; one epoch is 2,105 steps of 32.
COMMON=(--MAX_LENGTH 64)
FINE_TUNE=(--EPOCHS 5 --LEARNING_RATE 2e-5)
TRAIN_ADAPLER=(--EPOCHS 5 --LEARNING_RATE 3e-5 --GAMMA 0.005 --PHI 0.0005)
