# DBpedia: the first sentences of an abstract tell the class.
COMMON=(--MAX_LENGTH 128)
TARGET=2
