"""Weights in few bits: the number formats, weights kept packed in memory, what a file declares."""
