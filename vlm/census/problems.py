"""What would keep a checkpoint from opening, told from its configuration and headers alone."""

from ...errors import LatentVLMError
from ..checkpoint.contents import find_contents
from ..checkpoint.families import family_of
from ..checkpoint.find_stored import find_stored_weights
from ..quantize.declared_files import read_declared
from ..skeleton import skeleton
from .source import Source


def find_problems(source: Source) -> list[str]:
    """A sentence for each kind of fault, naming the tensors; none for a preset.

    The checks are those of `load_model`, but for values: a tied head other than its embeddings
    and weights that are no numbers are found when they are read.
    """
    if source.headers is None or source.folder is None:
        return []
    family = family_of(source.config)
    try:
        stored = find_stored_weights(source.headers, read_declared(source.folder))
    except LatentVLMError as error:
        return [str(error)]
    contents = find_contents(source.headers, family, stored, headers_only=True)
    state = skeleton(source.config).state_dict()
    if not contents.has_draft_head:
        state = {name: tensor for name, tensor in state.items() if ".mtp." not in f".{name}"}
    elif not any(".mtp." in f".{name}" for name in state):
        contents = contents.without_draft_head()
    wanted = {name: tuple(tensor.shape) for name, tensor in state.items()}
    tied = None
    if source.text.tie_word_embeddings:
        tied = next(name for name in wanted if name.endswith("lm_head.weight"))
    found = contents.complaints(wanted, tied=tied)
    return [f"Tensors are {kind}: {names}." for kind, names in found]
