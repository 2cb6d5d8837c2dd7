"""Where a model runs and in which number format: what was asked for, or what suits the machine."""

import torch

from ..errors import BackendError, ConfigError
from .ops.linear import cpu_multiplies_bfloat16

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device asked for; else a CUDA GPU, else Apple's, else the CPU.

    Raises:
        ConfigError: there is no device of that name.
        BackendError: this machine, or this PyTorch, does not have it.
    """
    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(
            f"device is {device!r} but must be cpu, cuda, cuda:1, mps or the like."
        ) from error
    if chosen.type == "cuda":
        count = torch.cuda.device_count()
        if (chosen.index or 0) >= count:
            raise BackendError(
                f"device is {str(chosen)!r} but PyTorch sees {count} CUDA GPUs here; "
                "use device='cpu'."
            )
    elif chosen.type == "mps" and not torch.backends.mps.is_available():
        raise BackendError("device is 'mps' but this machine has no Apple GPU; use device='cpu'.")
    elif chosen.type not in ("cpu", "mps"):
        raise BackendError(f"device is {str(chosen)!r}, on which this model was never run.")
    return chosen


def choose_dtype(
    dtype: str | torch.dtype | None, device: torch.device, *, stored: torch.dtype = torch.float32
) -> torch.dtype:
    """The format asked for; else the checkpoint's own, or float32 where that would be slow.

    Args:
        dtype: as the caller wrote it.
        device: where the model will run.
        stored: what the checkpoint says it is stored in.

    Raises:
        ConfigError: it is not float32, bfloat16 or float16, or is float16 on a CPU.
    """
    if dtype is None:
        return stored if _is_fast(stored, device) else torch.float32
    chosen = _DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if chosen is None or chosen not in _DTYPES.values():
        raise ConfigError(f"dtype is {dtype!r} but must be one of {', '.join(_DTYPES)}.")
    if chosen == torch.float16 and device.type == "cpu":
        raise ConfigError("dtype is 'float16', which a CPU does not multiply; use 'float32'.")
    return chosen


def dtype_named(name: object) -> torch.dtype:
    """The format of that name in a config.json; float32 for any other."""
    return _DTYPES.get(str(name).removeprefix("torch."), torch.float32)


def _is_fast(dtype: torch.dtype, device: torch.device) -> bool:
    if device.type == "cpu":
        return dtype == torch.bfloat16 and cpu_multiplies_bfloat16()
    return device.type != "cuda" or dtype != torch.bfloat16 or torch.cuda.is_bf16_supported()
