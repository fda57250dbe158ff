# IMDB: reviews are long, so the length is BERT's limit.
COMMON=(--MAX_LENGTH 512)
TARGET=4
