# SST-2: the length of the published README's example; one epoch is 2,105 steps of 32.
COMMON=(--MAX_LENGTH 64)
TARGET=2
