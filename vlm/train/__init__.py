"""Training: recipes, tasks, losses, the optimizer, checkpoints that resume exactly, the loop.

Start with `recipe.py` (what a run is) and `loop.py` (what a run does).
"""
