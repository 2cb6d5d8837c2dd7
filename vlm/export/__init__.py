"""Quantized checkpoints: calibrated, written a layer at a time, reopened and proven."""
