"""One mixer of the language model in each file."""
