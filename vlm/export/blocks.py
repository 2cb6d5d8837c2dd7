"""A checkpoint run a block at a time: one block's weights are in memory, its experts not even that.

What a model of any size needs to be calibrated and compared on a small machine: embeddings, then
each block over all prompts, then the head. Sums are float32 whatever the weights are stored in.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor, nn

from ...data.model_inputs import ModelInputs
from ..block import Block
from ..language_model import LanguageModel
from ..layers.moe import Experts
from ..model import VisionLanguageModel
from ..packed_row import PackedRow
from ..prompt import embed_prompt, language_model
from ..quantize.modules import put_packed, takes_packed
from ..quantize.packed import PackedWeight
from ..skeleton import settle_constants
from .source import WeightSource

TOGETHER = 1024  # tokens of several prompts that are run as one row


class ExpertsOnDisk(PackedWeight):
    """A stack of experts each of which is read when it is used."""

    format = "on disk"

    def __init__(self, source: WeightSource, name: str) -> None:
        super().__init__({})
        self._source, self._name = source, name

    @property
    def shape(self) -> torch.Size:
        return torch.Size(self._source.shapes[self._name])

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def matrix(
        self,
        expert: int | None = None,
        rows: slice = slice(None),  # noqa: B008 (it cannot be changed)
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        return self._source.read(self._name, expert)[rows].to(dtype)


@dataclass(frozen=True)
class Row:
    """The hidden states `(T, D)` of a prompt, and its ids, EVS carried out."""

    hidden: Tensor
    ids: Tensor

    @property
    def num_tokens(self) -> int:
        return self.hidden.shape[0]


def through(block: Block, rows: Sequence[Row]) -> list[Row]:
    """What a block makes of prompts, several at a time, so that its experts are read once for them.

    They do not see each other: together they are one packed row.
    """
    after = []
    for group in _groups(rows):
        sizes = [row.num_tokens for row in group]
        hidden = torch.cat([row.hidden for row in group]) if len(group) > 1 else group[0].hidden
        ends = torch.tensor([0, *accumulate(sizes)], dtype=torch.int32)
        parts = block(hidden, PackedRow.of(hidden, ends)).split(sizes)
        after += [replace(row, hidden=part) for row, part in zip(group, parts, strict=True)]
    return after


def _groups(rows: Sequence[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in rows:
        if group and sum(each.num_tokens for each in group) + row.num_tokens > TOGETHER:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


class BlockRunner:
    """The blocks of a checkpoint in order, each made when it is asked for."""

    def __init__(self, source: WeightSource) -> None:
        self.source = source
        self.text: LanguageModel = language_model(source.model)

    @property
    def num_blocks(self) -> int:
        return len(self.text.layers)

    @torch.no_grad()
    def embed(
        self,
        prompts: Sequence[ModelInputs],
        notify: Callable[[str, int, int], None] = lambda what, done, total: None,
    ) -> list[Row]:
        """What each prompt is before the first block; the tower is let go of again."""
        model = deepcopy(self.source.model)
        for part in (language_model(model),):
            part.layers = nn.ModuleList()
            part.mtp = None
            part.norm_f = nn.Identity()  # type: ignore[assignment]
            part.lm_head = nn.Identity()  # type: ignore[assignment]
        self._fill(model, "")
        if isinstance(model, VisionLanguageModel):
            settle_constants(model.vision_encoder, torch.device("cpu"))
        rows = []
        for prompt in prompts:
            hidden, seen = embed_prompt(model, prompt)
            hidden = hidden.float()
            rows.append(Row(hidden, seen.input_ids))
            notify("reading prompts", len(rows), len(prompts))
        return rows

    def block(self, idx: int) -> Block:
        """A block with its weights, those in few bits packed, its experts on disk."""
        layer = self.text.layers[idx]
        assert isinstance(layer, Block)
        block = deepcopy(layer)
        self._fill(block, f"{self.source.prefix}layers.{idx}.")
        return block.eval()

    def blocks(self) -> Iterator[tuple[int, Block]]:
        for idx in range(self.num_blocks):
            yield idx, self.block(idx)

    @torch.no_grad()
    def head(self) -> nn.Module:
        """Final norm and head: a module whose call makes float32 logits of hidden states."""
        return _Head(self)

    def fill(self, module: nn.Module, prefix: str) -> None:
        self._fill(module, prefix)

    def _fill(self, module: nn.Module, prefix: str) -> None:
        """Put the weights below a prefix into a module that was on the meta device."""
        source = self.source
        tensors: dict[str, Tensor] = {}
        for name, meta in list(module.state_dict().items()):
            ours = prefix + name
            if isinstance(module.get_submodule(name.rpartition(".")[0]), Experts):
                put_packed(module, name, ExpertsOnDisk(source, ours))
                continue
            if not source.holds(ours):
                identity = torch.ones if name.endswith("weight") else torch.zeros
                tensors[name] = identity(meta.shape)
                continue
            packed = source.read_packed(ours) if takes_packed(module, name) else None
            if packed is None:
                tensors[name] = source.read(ours).float()
                continue
            put_packed(module, name, packed)
            tensors |= {f"{name}.{part}": buffer for part, buffer in packed.named_buffers()}
        module.load_state_dict(tensors, strict=True, assign=True)
        module.requires_grad_(False)


class _Head(nn.Module):
    def __init__(self, runner: BlockRunner) -> None:
        super().__init__()
        text, prefix = runner.text, runner.source.prefix
        self.norm = deepcopy(text.norm_f)
        runner.fill(self.norm, f"{prefix}norm_f.")
        self.lm_head = nn.Module()
        holder = nn.ModuleDict({"head": deepcopy(text.lm_head)})
        tied = runner.source.is_tied
        if tied:
            weight = runner.source.read(f"{prefix}embeddings.weight").float()
            holder["head"].weight = nn.Parameter(weight, requires_grad=False)
        else:
            _fill_head(runner, holder, f"{prefix}lm_head.")
        self.holder = holder
        self.divisor = text.config.multipliers.logits_divisor

    @torch.no_grad()
    def forward(self, hidden: Tensor) -> Tensor:
        return self.holder["head"](self.norm(hidden)).float() / self.divisor


def _fill_head(runner: BlockRunner, holder: nn.ModuleDict, prefix: str) -> None:
    """Through a parent, for the head itself may be replaced by a packed product."""
    source = runner.source
    packed = source.read_packed(f"{prefix}weight")
    if packed is not None:
        put_packed(holder, "head.weight", packed)
    else:
        weight = source.read(f"{prefix}weight").float()
        holder["head"].weight = nn.Parameter(weight, requires_grad=False)
