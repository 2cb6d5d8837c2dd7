"""Synthetic videos: frames whose every word, movement and moment is known.

Start with `generate.py`; each kind of video is a file beside it.
"""

from .generate import generate_video
from .video import DrawnVideo

__all__ = ["DrawnVideo", "generate_video"]
