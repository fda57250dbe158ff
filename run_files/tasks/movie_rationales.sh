# ERASER movie reviews: windows as long as BERT's limit.
COMMON=(--MAX_LENGTH 512)
TARGET=2
