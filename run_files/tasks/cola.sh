# CoLA: single sentences, as SST-2.
COMMON=(--MAX_LENGTH 64)
TARGET=2
