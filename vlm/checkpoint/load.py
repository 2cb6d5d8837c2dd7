"""Open a checkpoint folder as a model. Strict: every tensor has a place, every place a tensor."""

import warnings
from collections.abc import Callable, Set
from pathlib import Path

import torch
from torch import Tensor, nn

from ...data.processor_files import read_json
from ...errors import CheckpointError
from ..config import LanguageConfig, VisionLanguageConfig
from ..language_model import LanguageModel
from ..mamba_cache import SsmKind
from ..model import VisionLanguageModel
from ..ops import arena
from ..quantize.declared import DeclaredFormats
from ..quantize.declared_files import read_declared, read_declared_files, without_declared
from ..skeleton import settle_constants, skeleton
from .contents import find_contents
from .families import family_of, family_of_json
from .find_stored import find_stored_weights
from .json_keys import path_in_errors
from .kv_scales import put_kv_scales
from .quantized import Quantized, check_choice
from .reading import Wishes, read_weights
from .shards import ShardReader


def load_config(
    folder: str | Path, *, strict_config: bool = False
) -> VisionLanguageConfig | LanguageConfig:
    """Read a folder's `config.json`.

    Raises:
        CheckpointError: the folder or the file is missing or unreadable.
        ConfigError: the family is unknown or a value not supported.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder; a checkpoint is one.")
    values = without_declared(read_json(folder / "config.json"))
    path = folder / "config.json"
    family = family_of_json(values, path)
    with path_in_errors(path):
        config = family.read_config(values, strict_config)
    return family.complete(config, values, folder)


def load_model(
    folder: str | Path,
    *,
    device: str | torch.device | Callable[[str], torch.device] | None = None,
    dtype: torch.dtype | None = None,
    strict_config: bool = False,
    quantized: Quantized = "packed",
    kv_cache: str | None = None,
    ssm_cache: SsmKind | None = None,
    for_decoding: bool = False,
) -> VisionLanguageModel | LanguageModel:
    """Open a checkpoint folder, ready to answer (evaluation mode).

    On a CPU, tensors that are stored in `dtype` are read from the file as they are used: they
    are shared between processes and take no memory of their own. The others go straight to
    where they stay, so nothing is ever held twice.

    Args:
        folder: `config.json` and safetensors in the format of its family.
        device: where the weights go; the CPU if None. Or where each goes by its name of ours,
            as `Placement.device_of` says; all of a layer must go to one device.
        dtype: their number format; as stored if None. The routers' selection biases are
            float32 in any case.
        strict_config: raise on a key of `config.json` that nothing reads.
        quantized: weights of few bits stay "packed" and are widened as they are used, or
            "expand" to `dtype` here; "experts-int8" makes the experts of a full-precision
            checkpoint INT8, and leaves the rest.
        kv_cache: "fp8" keeps keys and values in 8 bits, by the checkpoint's scales where it
            has them, else by 1; None keeps them in the model's number format.
        ssm_cache: "float16" or "int8" keeps the states of scans in so few bits, rounded by
            chance; None keeps them in float32.
        for_decoding: lay float32 weights out on a CPU as `prepare_for_decoding` does; not for
            a model that is to be trained or moved, and without effect on packed weights.

    Raises:
        CheckpointError: a file is missing or unreadable; a tensor is missing, unexpected
            or misshapen; the message names it.
        ConfigError: `config.json` asks for what is not supported.
    """
    check_choice(quantized)
    config = load_config(folder, strict_config=strict_config)
    declared = read_declared(folder)
    family = family_of(config)
    model = skeleton(config)
    text = model.language_model if isinstance(model, VisionLanguageModel) else model
    with ShardReader(folder) as reader:
        stored = find_stored_weights(reader, declared)
        contents = find_contents(reader, family, stored)
        if not contents.has_draft_head:
            text.mtp = None
        elif text.mtp is None:
            contents = contents.without_draft_head()
        prefix = "language_model." if text is not model else ""
        tied = f"{prefix}lm_head.weight" if text.config.tie_word_embeddings else None
        if device is None or isinstance(device, str | torch.device):
            device = _always(torch.device(device or "cpu"))
        types = {device(name).type for name in model.state_dict()}
        laid_out = for_decoding and (types, dtype) == ({"cpu"}, torch.float32)
        wishes = Wishes(
            device_of=device,
            dtype=dtype,
            quantized=quantized,
            reserved=_reserve(model, text, contents.in_few_bits(quantized)) if laid_out else {},
        )
        weights = read_weights(contents, model, wishes, tied=tied)
        put_kv_scales(reader, family.place, dict(model.named_modules()).get)
    if tied:
        tensors = weights.tensors
        embeddings = tensors[f"{prefix}embeddings.weight"]
        if tied in tensors and not torch.equal(tensors[tied], embeddings):
            raise CheckpointError(
                f"{folder} says tie_word_embeddings but holds a {family.disk_name(tied, None)} "
                "other than its embeddings; set tie_word_embeddings to false in its config.json."
            )
        tensors[tied] = embeddings
    weights.put_into(model)
    if isinstance(model, VisionLanguageModel):
        tower = model.vision_encoder
        settle_constants(tower, next(tower.parameters()).device)
    text.is_spread = len({tensor.device for tensor in model.state_dict().values()}) > 1
    if declared is not None and kv_cache is None:
        _warn_of_unknown_cache(declared)
    text.use_kv_cache(kv_cache, declared=declared and declared.kv_cache)
    text.use_ssm_cache(ssm_cache)
    text.declared_files = read_declared_files(folder) if text.is_packed else None
    if tied:
        text.lm_head.weight = text.embeddings.weight
    return model.eval()


def _warn_of_unknown_cache(declared: DeclaredFormats) -> None:
    if declared.kv_cache not in (None, "FP8"):
        warnings.warn(
            f"{declared.source} declares a cache in {declared.kv_cache}, which is not known here; "
            "keys and values are kept in the model's number format.",
            stacklevel=3,
        )


def _always(device: torch.device) -> Callable[[str], torch.device]:
    return lambda name: device


def _reserve(model: nn.Module, text: LanguageModel, packed: Set[str]) -> dict[str, Tensor]:
    """Where each weight that a decode step reads as it is will lie, by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = [
        ([weight for weight in weights if names[id(weight)] not in packed], dim)
        for weights, dim in text.weights_read_together()
    ]
    groups = [(weights, dim) for weights, dim in groups if weights]
    return {names[id(parameter)]: place for parameter, place in arena.places(groups)}
