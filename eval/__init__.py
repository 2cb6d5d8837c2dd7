"""Metrics, benchmarks and speed: what a model is measured with."""
