# FNC-1: articles fill BERT's limit.
COMMON=(--MAX_LENGTH 512)
TARGET=2
