"""The families that are a language model and nothing else."""

from . import bamba, granitemoehybrid, jamba, nemotron_h
from .names import Family

TEXT_FAMILIES: tuple[Family, ...] = (
    nemotron_h.FAMILY,
    jamba.FAMILY,
    bamba.FAMILY,
    granitemoehybrid.FAMILY,
    granitemoehybrid.DENSE_FAMILY,
)
