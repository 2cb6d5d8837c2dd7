"""The numerics under the layers: a reference, and the fast ways beside it."""
