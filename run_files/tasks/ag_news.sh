# AG News: news items of one or two sentences.
COMMON=(--MAX_LENGTH 128)
TARGET=7
