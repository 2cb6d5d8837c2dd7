"""The mixers of a hybrid language model, one a file."""
