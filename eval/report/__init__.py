"""What a person reads of a run, or of two: HTML in one file, and Markdown."""

from .run_report import write_report

__all__ = ["write_report"]
