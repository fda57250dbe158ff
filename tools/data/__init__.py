"""Tasks, their rows, and tokenised examples."""
