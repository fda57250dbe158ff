# MRPC: the published code gives no settings for it; gamma and phi are its README's SST-2 example, and 128 tokens is the
# usual length for GLUE's sentence pairs.
COMMON=(--MAX_LENGTH 128)
FINE_TUNE=(--EPOCHS 5 --LEARNING_RATE 2e-5)
TRAIN_ADAPLER=(--EPOCHS 5 --LEARNING_RATE 3e-5 --GAMMA 0.005 --PHI 0.0005)
