# Amazon: reviews of a few sentences.
COMMON=(--MAX_LENGTH 128)
TARGET=2
