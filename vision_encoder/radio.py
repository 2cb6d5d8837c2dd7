"""The RADIO vision tower: a plain ViT over packed patches of images of any size.

Patches are embedded without bias, a learned position table is resized and cropped to
each image's grid (cropped position embedding), class and register tokens are put before
each image, and attention stays inside the image. No final norm, no layer scale.
Source: NVlabs/RADIO (C-RADIO v2 to v4), the towers of Nemotron Nano V2 VL and Omni.

A video comes as tubelets, a few frames stacked patch by patch: they have an embedder of
their own and are else as images.

Letters: P patches of all images, S = P + prefix tokens, D hidden, H heads, K head size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError, InputError
from .patch_memory import encode_remembering

# Far above any tower: a mistyped size is refused before anything is made.
MOST = {"hidden_size": 2**16, "num_layers": 1024, "patch_size": 1024, "pos_grid": 2**13}
TUBELET_PATCHES = 16384  # of a video, encoded at once: 16 tubelets of the released size


@dataclass(frozen=True, kw_only=True)
class RadioConfig:
    """Sizes of a RADIO tower.

    `pos_grid` is the side of the square position table in patches (128 in the released
    towers: 2048 px of 16 px patches).
    """

    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    patch_size: int = 16
    pos_grid: int = 128
    num_cls_tokens: int = 3
    num_registers: int = 7
    summary_idxs: tuple[int, ...] = (0, 1)
    layer_norm_eps: float = 1e-6
    video_temporal_patch_size: int | None = None
    image_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        sizes = ["hidden_size", "num_layers", "num_heads", "intermediate_size", "patch_size"]
        frames = [] if self.video_temporal_patch_size is None else ["video_temporal_patch_size"]
        for key in [*sizes, "pos_grid", *frames]:
            value = getattr(self, key)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"The tower's {key} is {value!r}; it must be a positive integer.")
            most = MOST.get(key, 2**20)
            if value > most:
                raise ConfigError(
                    f"The tower's {key} is {value}; more than {most} is not supported."
                )
        if self.hidden_size % self.num_heads:
            raise ConfigError(
                f"The tower's hidden_size {self.hidden_size} is not a multiple of its "
                f"num_heads {self.num_heads}."
            )

    @property
    def num_prefix_tokens(self) -> int:
        return self.num_cls_tokens + self.num_registers

    def build(self) -> "RadioEncoder":
        """The tower with random weights."""
        return RadioEncoder(self)

    @property
    def patch_dim(self) -> int:
        return 3 * self.patch_size**2


class _ClsToken(nn.Module):
    def __init__(self, num_tokens: int, hidden_size: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(num_tokens, hidden_size))


class PatchGenerator(nn.Module):
    """Pixels of patches to embedded patches with positions; class tokens are kept beside."""

    def __init__(self, config: RadioConfig) -> None:
        super().__init__()
        self.pos_grid = config.pos_grid
        self.embedder = nn.Linear(config.patch_dim, config.hidden_size, bias=False)
        frames = config.video_temporal_patch_size
        self.video_embedder = (
            nn.Linear(frames * config.patch_dim, config.hidden_size, bias=False) if frames else None
        )
        self.pos_embed = nn.Parameter(torch.zeros(1, config.pos_grid**2, config.hidden_size))
        self.cls_token = _ClsToken(config.num_prefix_tokens, config.hidden_size)

    def positions(self, grid_height: int, grid_width: int) -> Tensor:
        """Position rows `(grid_height * grid_width, D)`: the table resized to a square, cropped."""
        side = self.pos_grid
        if (grid_height, grid_width) == (side, side):
            return self.pos_embed[0]
        longest = max(grid_height, grid_width)
        table = self.pos_embed.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        if longest != side:
            table = F.interpolate(
                table.float(), size=(longest, longest), mode="bilinear", align_corners=False
            )
        table = table[0, :, :grid_height, :grid_width].to(self.pos_embed.dtype)
        return table.flatten(1).t()

    def forward(
        self,
        pixel_values: Tensor,
        grids: list[tuple[int, int]],
        embedder: nn.Linear,
        chosen_P: Tensor | None = None,
    ) -> Tensor:
        if chosen_P is not None:
            pixel_values = pixel_values[chosen_P]
        patches_PD = embedder(pixel_values.to(embedder.weight.dtype))
        rows: dict[tuple[int, int], Tensor] = {}
        for grid in grids:
            if grid not in rows:
                rows[grid] = self.positions(*grid)
        positions_PD = torch.cat([rows[grid] for grid in grids])
        return patches_PD + (positions_PD if chosen_P is None else positions_PD[chosen_P])


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention; bfloat16 on a CPU with gradients goes through plain products.

    There the fused kernel's backward takes three times as long as all of the block's products.
    """
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and torch.is_grad_enabled():
        scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
        return torch.matmul(scores.float().softmax(-1).to(v.dtype), v)
    return F.scaled_dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Full attention inside each image; images of one length share one product."""

    def __init__(self, config: RadioConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x_SD: Tensor, runs: list[tuple[int, int]]) -> Tensor:
        """Attend inside each image; `runs` are (images, length) of neighbours of one length."""
        qkv = self.qkv(x_SD).view(x_SD.shape[0], 3, self.num_heads, -1)
        outputs = []
        for part, (count, length) in zip(
            qkv.split([count * length for count, length in runs]), runs, strict=True
        ):
            q, k, v = part.view(count, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
            out = _attend(q, k, v)
            outputs.append(out.transpose(1, 2).reshape(count * length, -1))
        return self.proj(torch.cat(outputs) if len(outputs) > 1 else outputs[0])


class Mlp(nn.Module):
    def __init__(self, config: RadioConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x_SD: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x_SD)))


class Block(nn.Module):
    def __init__(self, config: RadioConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x_SD: Tensor, runs: list[tuple[int, int]]) -> Tensor:
        x_SD = x_SD + self.attn(self.norm1(x_SD), runs)
        return x_SD + self.mlp(self.norm2(x_SD))


class RadioEncoder(nn.Module):
    """The tower behind the `VisionEncoder` protocol."""

    def __init__(self, config: RadioConfig) -> None:
        super().__init__()
        self.config = config
        self.hidden_size = config.hidden_size
        self.patch_size = config.patch_size
        self.num_prefix_tokens = config.num_prefix_tokens
        self.patch_generator = PatchGenerator(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Truncated-normal weights, zero biases; positions and class tokens small and random."""
        std = self.config.initializer_range
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.patch_generator.pos_embed, std=std)
        nn.init.trunc_normal_(self.patch_generator.cls_token.token, std=std)

    def forward(self, pixel_values: Tensor, grid_hw: Tensor) -> Tensor:
        """Encode packed patches.

        Args:
            pixel_values: `(total_patches, 3 * patch_size**2)`, normalised, images one after
                another, patches row by row, each patch in (channel, y, x) order.
            grid_hw: `(num_images, 2)`, patch rows and columns of each image.

        Returns:
            Patch features `(total_patches, hidden_size)` in the same order.

        Raises:
            InputError: the grids do not add up to the number of patches.
        """
        grids = [(int(h), int(w)) for h, w in grid_hw.tolist()]
        _check_patches("image_grid_hw", grids, "pixel_values", pixel_values)
        return self._encode(pixel_values, grids, self.patch_generator.embedder)

    def encode_tubelets(
        self,
        pixel_values: Tensor,
        grid_thw: Tensor,
        reuse: tuple[Tensor, Tensor, bool] | None = None,
    ) -> Tensor:
        """Encode the packed tubelets of videos; each is seen by itself, as an image is.

        Args:
            pixel_values: `(total_patches, frames * 3 * patch_size**2)`, normalised, tubelets
                one after another, patches row by row, each in (frame, channel, y, x) order.
            grid_thw: `(num_videos, 3)`, tubelets, patch rows and columns of each video.
            reuse: the patches to run on, bool `(total_patches,)`; the patch whose features each
                one gets, int64, one of those; and whether they see the others as those last were
                in their video, or only each other. Remembering gives no gradients.

        Returns:
            Patch features `(total_patches, hidden_size)` in the same order.

        Raises:
            InputError: the grids do not add up to the number of patches, or a patch has not as
                many frames as this tower takes together.
        """
        grids = [(int(h), int(w)) for t, h, w in grid_thw.tolist() for _ in range(int(t))]
        _check_patches("video_grid_thw", grids, "pixel_values_videos", pixel_values)
        embedder = self.patch_generator.video_embedder or self.patch_generator.embedder
        if pixel_values.shape[1] != embedder.in_features:
            frames = embedder.in_features // self.config.patch_dim
            raise InputError(
                f"A patch of pixel_values_videos has {pixel_values.shape[1]} values, but this "
                f"tower takes {embedder.in_features}, those of {frames} frames together."
            )
        # Tubelets are many and never see each other, so a long video is encoded piece by piece.
        pieces: list[list[tuple[int, int]]] = [[]]
        for grid in grids:
            if sum(h * w for h, w in [*pieces[-1], grid]) > TUBELET_PATCHES and pieces[-1]:
                pieces.append([])
            pieces[-1].append(grid)
        if reuse is not None and bool(reuse[0].all()):
            reuse = None  # many whole tubelets are encoded faster than one after another
        encoded_P, source_P, remembers = reuse or (None, None, False)
        if encoded_P is not None and remembers:
            features = encode_remembering(self, pixel_values, grid_thw, embedder, encoded_P)
        else:
            sizes = [sum(h * w for h, w in piece) for piece in pieces]
            parts = pixel_values.split(sizes)
            chosen = [None] * len(parts) if encoded_P is None else encoded_P.split(sizes)
            features = torch.cat(
                [
                    self._encode(part, piece, embedder, chosen_P)
                    for part, piece, chosen_P in zip(parts, pieces, chosen, strict=True)
                ]
            )
        if encoded_P is None or source_P is None:
            return features
        return features[encoded_P.cumsum(0)[source_P] - 1]

    def _encode(
        self,
        pixel_values: Tensor,
        grids: list[tuple[int, int]],
        embedder: nn.Linear,
        chosen_P: Tensor | None = None,
    ) -> Tensor:
        """Features of packed images, or of chosen patches of theirs that see each other alone."""
        sizes = [h * w for h, w in grids]
        patches_PD = self.patch_generator(pixel_values, grids, embedder, chosen_P)
        if chosen_P is not None:
            counts = [int(part.sum()) for part in chosen_P.split(sizes)]
            sizes = [count for count in counts if count]
        if not sizes:
            return patches_PD
        prefix = self.patch_generator.cls_token.token
        pieces: list[Tensor] = []
        runs: list[tuple[int, int]] = []
        for patches in patches_PD.split(sizes):
            pieces += [prefix, patches]
            length = patches.shape[0] + prefix.shape[0]
            if runs and runs[-1][1] == length:
                runs[-1] = (runs[-1][0] + 1, length)
            else:
                runs.append((1, length))
        x_SD = torch.cat(pieces)
        for block in self.blocks:
            x_SD = block(x_SD, runs)
        lengths = [n for size in sizes for n in (prefix.shape[0], size)]
        return torch.cat(x_SD.split(lengths)[1::2])


def _check_patches(
    grid_name: str, grids: list[tuple[int, int]], name: str, pixel_values: Tensor
) -> None:
    total = sum(h * w for h, w in grids)
    if total != pixel_values.shape[0]:
        raise InputError(
            f"{grid_name} describes {total} patches but {name} holds {pixel_values.shape[0]}."
        )
