"""Video files to frames, in a process of its own that can be killed.

Nothing here knows torch or the rest of the package, so the process starts in a moment.
"""
