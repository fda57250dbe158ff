# AG News: news items of one or two sentences.
COMMON=(--MAX_LENGTH 128)
TARGET=7
TARGET_FINE_TUNE=(--LEARNING_RATE 1e-4) # the rate of the runs in results/
