"""Reading and writing checkpoint folders, one family a file."""
