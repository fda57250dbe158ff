# QNLI: sentence pairs.
COMMON=(--MAX_LENGTH 128)
TARGET=2
