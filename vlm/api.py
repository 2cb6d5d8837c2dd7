"""`load()`: from a checkpoint to the `VLM` that answers."""

from collections.abc import Callable
from pathlib import Path

import torch

from ..errors import CheckpointError, ConfigError
from .budgets import DeviceMap
from .checkpoint import Quantized, load_model
from .checkpoint.finite import require_finite
from .checkpoint.hub import find_source
from .device import choose_device, choose_dtype
from .limits import ModelLimits
from .loading import (
    read_end_ids,
    read_processor,
    read_stored_dtype,
    require_embeddings,
    widen_tower,
)
from .mamba_cache import SsmKind
from .model_parts import CONTEXT
from .placement import Placement, place_folder
from .prompt import language_model
from .vlm import VLM

PRETRAINED = Path(__file__).parent / "pretrained" / "default"


def load(
    folder: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    *,
    device_map: DeviceMap | None = None,
    context: int | None = None,
    on_placement: Callable[[Placement], None] | None = None,
    quantized: Quantized = "packed",
    kv_cache: str | None = None,
    ssm_cache: SsmKind | None = None,
    revision: str | None = None,
    check_weights: bool = False,
) -> VLM:
    """Open a checkpoint: a folder, or a repository on the Hugging Face hub.

    Example:
        ```python
        import latentvlm

        vlm = latentvlm.load("my-model", dtype="float32")
        print(vlm, vlm.source)
        ```

    Args:
        folder: a checkpoint of one of the families in `vlm/checkpoint/families.py`; None is the
            model in the package. A folder without tokenizer opens too, and says so once a call
            needs text. The id of a repository, `owner/name`, is fetched once and then kept.
        device: "cpu", "cuda", "cuda:1", "mps"; None is the best there is.
        dtype: "float32", "bfloat16" or "float16"; None is what the checkpoint is stored in,
            or float32 on a CPU that has no bfloat16 units. Asked for on such a CPU, bfloat16
            halves the memory of the language model, which is widened as it is used.
        device_map: for a model larger than one device, instead of `device`: "auto" takes what
            is free on the GPUs, then on the CPU; `{"cuda:0": "20GiB", "cpu": "64GiB"}` takes so
            much of each. `VLM.placement` says what lies where.
        context: tokens for whose keys and values a `device_map` keeps room; 8192 if None.
        on_placement: shown what will lie where before anything is read.
        quantized: what becomes of weights stored in FP8 or NVFP4. "packed" keeps them so and
            widens each as it is used, "expand" widens them here; "experts-int8" makes the
            experts of a full-precision checkpoint INT8.
        kv_cache: "fp8" keeps keys and values in 8 bits, by the checkpoint's scales if it has
            any; None keeps them in `dtype`.
        ssm_cache: "float16" or "int8" keeps the states of scans in so few bits, rounded by
            chance (docs/quantized.md); None keeps them in float32.
        revision: branch, tag or commit of a repository; `VLM.source` says which commit it was.
        check_weights: read every weight once and refuse those that hold NaN or infinity.

    Raises:
        CheckpointError: the folder, a shard or a tensor is missing or wrong, or a repository
            cannot be fetched.
        ConfigError: `device`, `device_map`, `context`, `dtype`, `quantized`, `kv_cache` or
            `ssm_cache` has no such value.
        BackendError: this machine does not have the device, or the devices of `device_map` are
            too small together.
    """
    if folder is None and not (PRETRAINED / "config.json").is_file():
        raise CheckpointError(
            f"This installation has no model in {PRETRAINED}; give the folder of a checkpoint."
        )
    source = find_source(PRETRAINED if folder is None else folder, revision=revision)
    folder = source.folder
    if check_weights:
        require_finite(folder)
    placement = None
    if device_map is None:
        if context is not None:
            raise ConfigError("context is for what a device_map keeps room; give a device_map too.")
        device = choose_device(device)
        dtype = choose_dtype(dtype, device, stored=read_stored_dtype(folder))
    elif device is not None:
        raise ConfigError("Give device or device_map, not both.")
    else:
        placement, dtype = place_folder(
            folder,
            device_map,
            dtype=dtype,
            quantized=quantized,
            kv_cache=kv_cache,
            ssm_cache=ssm_cache,
            context=CONTEXT if context is None else context,
        )
        if on_placement is not None:
            on_placement(placement)
    model = load_model(
        folder,
        device=device if placement is None else placement.device_of,
        dtype=dtype,
        quantized=quantized,
        kv_cache=kv_cache,
        ssm_cache=ssm_cache,
        for_decoding=True,
    )
    widen_tower(model)
    text = language_model(model).config
    limits = ModelLimits.read(folder)
    processor, why_no_text = read_processor(folder, model.config)
    if processor is not None:
        require_embeddings(processor, text, folder)
    return VLM(
        model,
        processor=processor,
        why_no_text=why_no_text,
        end_ids=read_end_ids(folder, text, processor),
        context_length=text.max_position_embeddings,
        limits=limits,
        source=source,
        placement=placement,
    )
