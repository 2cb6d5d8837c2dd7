"""What a mixture of experts costs in each number format on this machine, in one run.

The same random weights in BF16 and in float32, with INT8 experts, and exported to FP8, NVFP4 and
INT4: memory, opening, reading a prompt, writing after it, and how often the likeliest next token is
that of float32. All sides take turns, so that what slows the machine down slows all of them.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..errors import ConfigError
from ..vlm.checkpoint import Quantized, load_model, save_model
from ..vlm.config import LanguageConfig
from ..vlm.export.blocks import BlockRunner
from ..vlm.export.calibrate import calibrate
from ..vlm.export.plan import make_plan
from ..vlm.export.prompts import find_prompts
from ..vlm.export.source import WeightSource
from ..vlm.export.writer import write_export
from ..vlm.language_model import LanguageModel
from ..vlm.quantize.bits import bits_in_memory
from ..vlm.quantize.recipes import recipe_named
from .contenders import Ours
from .load_speed import touch
from .machine import LoadWatch

REFERENCE, SMALL = "float32", "bfloat16"
# of each side: the recipe of its folder, the number format of the rest, and how it is opened
_SIDES: dict[str, tuple[str | None, torch.dtype, Quantized]] = {
    REFERENCE: (None, torch.float32, "packed"),
    SMALL: (None, torch.bfloat16, "packed"),
    "int8 experts": (None, torch.float32, "experts-int8"),
    "fp8": ("nano-vl-fp8", torch.float32, "packed"),
    "nvfp4": ("nano-vl-nvfp4", torch.float32, "packed"),
    "int4": ("cpu-int4", torch.float32, "packed"),
}


@dataclass(frozen=True, kw_only=True)
class QuantizedSpeedConfig:
    """What is measured.

    Attributes:
        experts: of each of the five mixtures; 192 are 268M parameters.
        prompt_length: tokens to read; decode_tokens: to write after them, one sequence.
    """

    experts: int = 192
    prompt_length: int = 512
    decode_tokens: int = 16
    repeats: int = 5
    threads: int = 1

    def __post_init__(self) -> None:
        if self.experts < 4:
            raise ConfigError(f"experts is {self.experts}; it must be at least 4.")

    @property
    def model(self) -> LanguageConfig:
        return LanguageConfig(
            vocab_size=2048,
            hidden_size=512,
            hybrid_override_pattern="MEME*EMEME",
            mamba_num_heads=16,
            mamba_head_dim=64,
            n_groups=2,
            ssm_state_size=64,
            num_attention_heads=8,
            num_key_value_heads=2,
            head_dim=64,
            n_routed_experts=self.experts,
            num_experts_per_tok=4,
            moe_intermediate_size=512,
            moe_shared_expert_intermediate_size=1024,
            moe_latent_size=256,
            routed_scaling_factor=2.5,
            time_step_min=1e-9,
            max_position_embeddings=16384,
        )


QUICK = QuantizedSpeedConfig(experts=8, prompt_length=64, decode_tokens=4, repeats=2)


@dataclass(frozen=True, kw_only=True)
class SideFigures:
    """One side.

    Attributes:
        num_bytes: of its weights in memory, scales included.
        load, prefill, decode: seconds of every repeat: to open it and read each page of its
            weights, to read the prompt, to write a token.
        agreement: share of the prompt's tokens after which the likeliest next one is float32's.
    """

    num_bytes: int
    load: list[float] = field(default_factory=list)
    prefill: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)
    agreement: float


@dataclass(frozen=True, kw_only=True)
class QuantizedReport:
    """All sides, and what they were measured on."""

    config: QuantizedSpeedConfig
    num_parameters: int
    torch_version: str
    foreign_load: float | None
    sides: Mapping[str, SideFigures]

    def memory_ratio(self, side: str) -> float:
        """Its memory over that of BF16."""
        return self.sides[side].num_bytes / self.sides[SMALL].num_bytes

    def speed_ratio(self, side: str, what: str) -> float:
        """Its speed over that of float32, by medians."""
        ours, theirs = (getattr(self.sides[each], what) for each in (side, REFERENCE))
        return statistics.median(theirs) / statistics.median(ours)

    def as_values(self) -> dict[str, Any]:
        ratios = {
            side: {
                "memory_of_bfloat16": self.memory_ratio(side),
                "prefill_of_float32": self.speed_ratio(side, "prefill"),
                "decode_of_float32": self.speed_ratio(side, "decode"),
            }
            for side in self.sides
        }
        return asdict(self) | {"ratios": ratios}


def measure_quantized(
    config: QuantizedSpeedConfig, notify: Callable[[str], None] = lambda line: None
) -> QuantizedReport:
    """Write the checkpoints into a temporary folder, measure them, remove them.

    Args:
        notify: told what is done next.
    """
    torch.set_num_threads(config.threads)
    with tempfile.TemporaryDirectory(prefix="latentvlm-quantized-") as made:
        folders = _write(Path(made), config, notify)
        found = _open(folders, config, notify)
        models, loads = found
        ids = torch.randint(
            0,
            config.model.vocab_size,
            (1, config.prompt_length),
            generator=torch.Generator().manual_seed(1),
        )
        likeliest = {side: _likeliest(model, ids) for side, model in models.items()}
        runs = {side: Ours(model) for side, model in models.items()}
        watch = LoadWatch().start()
        prefill: dict[str, list[float]] = {side: [] for side in runs}
        decode: dict[str, list[float]] = {side: [] for side in runs}
        for repeat in range(config.repeats + 1):
            notify(f"repeat {repeat} of {config.repeats}" if repeat else "once to warm up")
            for side in runs if repeat % 2 == 0 else reversed(runs):
                begin = time.perf_counter()
                last = runs[side].prefill(ids)
                read = time.perf_counter()
                for _ in range(config.decode_tokens):
                    last = runs[side].step(last)
                if repeat:
                    prefill[side].append(read - begin)
                    decode[side].append((time.perf_counter() - read) / config.decode_tokens)
        sides = {
            side: SideFigures(
                num_bytes=sum(each.num_bytes for each in bits_in_memory(model)),
                load=loads[side],
                prefill=prefill[side],
                decode=decode[side],
                agreement=float((likeliest[side] == likeliest[REFERENCE]).float().mean()),
            )
            for side, model in models.items()
        }
        return QuantizedReport(
            config=config,
            num_parameters=sum(each.num_parameters for each in bits_in_memory(models[REFERENCE])),
            torch_version=torch.__version__,
            foreign_load=watch.share(),
            sides=sides,
        )


def _write(
    root: Path, config: QuantizedSpeedConfig, notify: Callable[[str], None]
) -> dict[str | None, Path]:
    """The folder in BF16, under None, and one for each recipe."""
    notify("writing a mixture of random weights in BF16")
    torch.manual_seed(0)
    model = LanguageModel(config.model).to(torch.bfloat16)
    save_model(model, root / "bf16")
    del model
    source = WeightSource(root / "bf16")
    prompts = find_prompts(source, None, 1, split="train")
    calibration = calibrate(BlockRunner(source), prompts.inputs)
    folders: dict[str | None, Path] = {None: root / "bf16"}
    for recipe in (recipe for recipe, *_ in _SIDES.values() if recipe):
        notify(f"writing it by {recipe}")
        folders[recipe] = root / recipe
        folders[recipe].mkdir()
        plan = make_plan(source, recipe_named(recipe), "compressed-tensors")
        write_export(source, plan, calibration, folders[recipe])
    return folders


def _open(
    folders: Mapping[str | None, Path],
    config: QuantizedSpeedConfig,
    notify: Callable[[str], None],
) -> tuple[dict[str, LanguageModel], dict[str, list[float]]]:
    """Every side's model, and how long each opening of it took; files are in the system's cache."""
    models: dict[str, LanguageModel] = {}
    loads: dict[str, list[float]] = {side: [] for side in _SIDES}
    for repeat in range(min(3, config.repeats) + 1):
        notify(f"opening, {repeat}" if repeat else "opening once to warm up")
        for side, (recipe, dtype, quantized) in _SIDES.items():
            models.pop(side, None)
            begin = time.perf_counter()
            model = load_model(folders[recipe], dtype=dtype, quantized=quantized, for_decoding=True)
            assert isinstance(model, LanguageModel)
            for tensor in model.state_dict().values():
                touch(tensor)
            if repeat:
                loads[side].append(time.perf_counter() - begin)
            models[side] = model.requires_grad_(False)
    return models, loads


@torch.inference_mode()
def _likeliest(model: LanguageModel, ids: torch.Tensor) -> torch.Tensor:
    """The likeliest next token after every one of the prompt."""
    return model.logits(model(model.embed(ids[0]))).argmax(-1)
