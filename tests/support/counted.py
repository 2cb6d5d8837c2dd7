"""Published models, each listed and counted once for all tests of a run."""

from functools import cache

from latentvlm.vlm.census.parameters import Parameters, count_parameters
from latentvlm.vlm.census.source import find_source

source = cache(find_source)


@cache
def counted(name: str) -> Parameters:
    return count_parameters(source(name).tensors, source(name).config)
