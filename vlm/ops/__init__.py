"""The numerics under the layers: an obvious reference and the fast ways beside it."""
