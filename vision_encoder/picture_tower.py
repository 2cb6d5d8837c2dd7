"""Towers from libraries take batches of whole pictures; this packs and unpacks around them.

Images of one size are put together, encoded and taken apart again. What a library's tower
does with a grid it was not built for is tried once, when it is made, not found out later.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import BackendError, CheckpointError, ConfigError, InputError

# Tried when a tower is made: neither square nor the size of any published tower.
_PROBE_GRIDS = ((2, 3), (5, 4))


class PictureTower(nn.Module, ABC):
    """A `VisionEncoder` around a module that takes `(n, 3, height, width)`.

    A subclass sets all attributes but `hidden_size`, implements `feature_maps` and ends its
    constructor with `check_grids()`, which finds that one.

    Attributes:
        library, name, model_args: what it is built from.
        image_mean, image_std: what its published weights expect pixels to be normalised with.
    """

    library: str
    name: str
    model_args: Mapping[str, Any]
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    hidden_size: int
    patch_size: int
    num_prefix_tokens: int

    @abstractmethod
    def feature_maps(self, pictures: Tensor) -> Tensor:
        """Pictures `(n, 3, rows * p, columns * p)` to `(n, hidden_size, rows, columns)`."""

    def forward(self, pixel_values: Tensor, grid_hw: Tensor) -> Tensor:
        """See `VisionEncoder.forward`."""
        return self._encode(pixel_values, grid_hw, "image_grid_hw", "pixel_values")

    def encode_tubelets(
        self,
        pixel_values: Tensor,
        grid_thw: Tensor,
        reuse: tuple[Tensor, Tensor, bool] | None = None,
    ) -> Tensor:
        """See `VisionEncoder.encode_tubelets`; each frame is a picture, and always whole."""
        if reuse is not None:
            raise BackendError(
                f"The tower {self.name} takes whole pictures, so it cannot leave out patches that "
                "did not change; ask without reuse."
            )
        grid_hw = grid_thw[:, 1:].repeat_interleave(grid_thw[:, 0], dim=0)
        return self._encode(pixel_values, grid_hw, "video_grid_thw", "pixel_values_videos")

    def _encode(
        self, pixel_values: Tensor, grid_hw: Tensor, grid_name: str, pixels_name: str
    ) -> Tensor:
        grids = [(int(rows), int(columns)) for rows, columns in grid_hw.tolist()]
        self._check_input(pixel_values, grids, grid_name, pixels_name)
        dtype = next(self.parameters()).dtype
        images = pixel_values.to(dtype).split([rows * columns for rows, columns in grids])
        members: dict[tuple[int, int], list[int]] = {}
        for index, grid in enumerate(grids):
            members.setdefault(grid, []).append(index)

        features: dict[int, Tensor] = {}
        for grid, indices in members.items():
            patches = torch.stack([images[index] for index in indices])
            maps = self.feature_maps(unpack_patches(patches, grid, self.patch_size))
            features.update(zip(indices, maps.flatten(2).transpose(1, 2).unbind(), strict=True))
        if not features:
            return pixel_values.new_zeros((0, self.hidden_size), dtype=dtype)
        return torch.cat([features[index] for index in range(len(grids))])

    def train(self, mode: bool = True) -> "PictureTower":
        """As ever, but batch statistics stay fixed: through them images would see each other."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self

    def check_grids(self) -> None:
        """Encodes two small blank pictures of unlike shape and sets `hidden_size`.

        Whole numbers that the tower holds, counters and indices, are no weights: they leave its
        state, for they come with every tower of its kind.

        Raises:
            ConfigError: the tower cannot serve grids of any shape.
        """
        for module in self.modules():
            for name, buffer in module.named_buffers(recurse=False):
                if not buffer.is_floating_point():
                    module._non_persistent_buffers_set.add(name)
            if isinstance(module, _BatchNorm):
                module.register_load_state_dict_post_hook(_forgive_counter)
        parameter = next(self.parameters())
        self.eval()
        for rows, columns in _PROBE_GRIDS:
            height, width = rows * self.patch_size, columns * self.patch_size
            picture = torch.zeros(
                1, 3, height, width, dtype=parameter.dtype, device=parameter.device
            )
            try:
                with torch.no_grad():
                    shape = tuple(self.feature_maps(picture).shape)
            except (RuntimeError, ValueError, AssertionError, TypeError) as error:
                # Whatever a foreign tower objects to, what matters here is that it does.
                raise ConfigError(
                    f"The tower {self.name} cannot encode pictures of any size: given "
                    f"{height} x {width} pixels, it fails with: {first_line(error)}."
                ) from error
            if len(shape) != 4 or shape[2:] != (rows, columns):
                raise ConfigError(
                    f"The tower {self.name} does not give one feature for each patch of "
                    f"{self.patch_size} pixels: a grid of {rows} x {columns} came out as {shape}."
                )
            self.hidden_size = shape[1]
        self.train()

    def _check_input(
        self,
        pixel_values: Tensor,
        grids: list[tuple[int, int]],
        grid_name: str,
        pixels_name: str,
    ) -> None:
        sizes = [rows * columns for rows, columns in grids]
        if min(sizes, default=1) < 1 or sum(sizes) != pixel_values.shape[0]:
            raise InputError(
                f"{grid_name} describes {sum(sizes)} patches, {sizes} by image, but "
                f"{pixels_name} holds {pixel_values.shape[0]}."
            )
        if pixel_values.shape[1:] != (3 * self.patch_size**2,):
            raise InputError(
                f"A patch of the tower {self.name} has 3 * {self.patch_size} * {self.patch_size} "
                f"values, but {pixels_name} has shape {tuple(pixel_values.shape)}."
            )


def _forgive_counter(_module: nn.Module, keys: Any) -> None:
    """PyTorch adds a batch norm's counter to a state that lacks it, and then finds it there."""
    keys.unexpected_keys[:] = [
        key for key in keys.unexpected_keys if not key.endswith("num_batches_tracked")
    ]


def first_line(error: Exception) -> str:
    """A foreign error as the end of a sentence of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def unpack_patches(patches: Tensor, grid: tuple[int, int], patch_size: int) -> Tensor:
    """Patches `(n, rows * columns, 3 * p * p)` to pictures `(n, 3, rows * p, columns * p)`."""
    rows, columns = grid
    patches = patches.unflatten(2, (3, patch_size, patch_size)).unflatten(1, (rows, columns))
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(
        patches.shape[0], 3, rows * patch_size, columns * patch_size
    )


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """All tensors of one local safetensors file; nothing is ever unpickled.

    Raises:
        CheckpointError: no such file, or not safetensors.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"The weights {path} are no readable safetensors file.") from error


def load_weights(
    module: nn.Module, weights: Mapping[str, Tensor], *, source: str, unused: tuple[str, ...]
) -> None:
    """Strict loading, but for heads that the tower goes without.

    Args:
        module: what to fill.
        weights: by name.
        source: what errors call the weights.
        unused: prefixes of names that may be left aside.

    Raises:
        CheckpointError: a tensor is missing, unexpected or of another shape.
    """
    state = module.state_dict()
    held = {name for name, _ in module.named_buffers()}
    missing = [name for name in state if name not in weights]
    extra = [
        name
        for name in weights
        if name not in state and name not in held and not name.startswith(unused)
    ]
    wrong = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(state[name].shape)}"
        for name in state
        if name in weights and weights[name].shape != state[name].shape
    ]
    for what, names in (("lack", missing), ("have unexpected", extra), ("have", wrong)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"The weights {source} {what} {', '.join(names[:3])}{more}.")
    module.load_state_dict({name: weights[name] for name in state})
