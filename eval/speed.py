"""Speed beside transformers on the same random weights, in one run on this machine.

Every figure is the median of several repeats in which the two sides take turns, so that what
slows the machine down slows both. The clock on the wall counts; processor seconds are kept
beside it, since they hardly notice other processes that take turns on the same cores.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch

from ..vision_encoder.radio import RadioConfig, RadioEncoder
from ..vlm.config import LanguageConfig, VisionLanguageConfig
from ..vlm.language_model import LanguageModel
from ..vlm.presets import preset
from .contenders import Contender, Ours, Transformers, active_weights, radio
from .machine import Ceilings, LoadWatch, core_count, measure_ceilings
from .peak_memory import peak_memory

FOREIGN_LOAD_LIMIT = 0.04
SIDES = ("latentvlm", "transformers")


@dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """What is measured.

    Attributes:
        prompt_lengths: tokens of one prompt to read.
        batch_sizes: sequences written at once, each after `context` tokens.
        decode_tokens: tokens of each sequence that one repeat writes.
        image_size: side of the picture the vision tower encodes, in pixels; 0 leaves it out.
        memory_length: tokens of the prompt whose peak memory is taken; 0 leaves it out.
    """

    presets: tuple[str, ...] = ("bench-s", "bench-m")
    prompt_lengths: tuple[int, ...] = (512, 2048, 8192)
    batch_sizes: tuple[int, ...] = (1, 8)
    context: int = 512
    decode_tokens: int = 16
    image_size: int = 512
    memory_length: int = 8192
    repeats: int = 5
    threads: int = 1


QUICK = SpeedConfig(
    presets=("bench-s",),
    prompt_lengths=(512,),
    batch_sizes=(1,),
    image_size=0,
    memory_length=0,
    repeats=3,
)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Units a second of one side: the median, and the slowest and fastest repeat.

    Attributes:
        cpu_median: units a second of processor time instead of the clock's.
    """

    median: float
    low: float
    high: float
    cpu_median: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the comparison.

    Attributes:
        rates: of each side.
        ratio, cpu_ratio: ours over theirs; above 1 we are faster.
        of_ceiling: our part of the machine's ceiling (`ceiling` names which), None without one.
        foreign_load: part of the machine that other processes used meanwhile, if known.
    """

    preset: str
    what: str
    unit: str
    rates: dict[str, Rate]
    ratio: float
    cpu_ratio: float
    ceiling: str | None = None
    of_ceiling: float | None = None
    foreign_load: float | None = None


@dataclass(frozen=True, kw_only=True)
class SpeedReport:
    """All figures, with what they were measured on."""

    config: SpeedConfig
    ceilings: Ceilings
    cores: int
    torch_version: str
    figures: list[Figure] = field(default_factory=list)
    peak_bytes: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def is_disturbed(self) -> bool:
        """Whether others used more than `FOREIGN_LOAD_LIMIT` of the machine in some run."""
        loads = [figure.foreign_load or 0.0 for figure in self.figures]
        return max(loads, default=0.0) > FOREIGN_LOAD_LIMIT

    def as_values(self) -> dict[str, Any]:
        return asdict(self) | {"is_disturbed": self.is_disturbed}


def measure_speed(
    config: SpeedConfig, notify: Callable[[str], None] = lambda line: None
) -> SpeedReport:
    """Run the comparison; minutes for the small preset, the better part of an hour for both.

    Args:
        notify: told what is measured next.

    Raises:
        ConfigError: there is no preset of a name.
        MissingDependencyError: transformers is not installed.
    """
    for name in config.presets:
        preset(name)  # a wrong name is told before anything is measured
    torch.set_num_threads(config.threads)
    notify("the machine's ceilings")
    report = SpeedReport(
        config=config,
        ceilings=measure_ceilings(),
        cores=core_count(),
        torch_version=torch.__version__,
    )
    for name in config.presets:
        for figure in _figures_of(name, config, report.ceilings, notify):
            report.figures.append(figure)
        if config.memory_length:
            notify(f"{name}: peak memory")
            report.peak_bytes[name] = {
                side: peak_memory(name, side, config.memory_length, config.threads)
                for side in SIDES
            }
    return report


def _figures_of(
    name: str, config: SpeedConfig, ceilings: Ceilings, notify: Callable[[str], None]
) -> Iterator[Figure]:
    torch.manual_seed(0)
    chosen = preset(name)
    text = chosen.text if isinstance(chosen, VisionLanguageConfig) else chosen
    assert isinstance(text, LanguageConfig)
    model = LanguageModel(text).eval()
    # transformers first: our side then lays the weights out its own way, in its own copy
    theirs = Transformers(model)
    sides: dict[str, Contender] = {"latentvlm": Ours(model), "transformers": theirs}
    body, with_head = active_weights(text, model)
    draw = torch.Generator().manual_seed(0)

    def ids(count: int, length: int) -> torch.Tensor:
        return torch.randint(0, text.vocab_size, (count, length), generator=draw)

    for length in config.prompt_lengths:
        notify(f"{name}: prefill {length}")
        prompt = ids(1, length)
        runs = {key: partial(side.prefill, prompt) for key, side in sides.items()}
        timed = _take_turns(runs, length, config.repeats)
        gflops = 2 * body * timed["rates"]["latentvlm"].median / 1e9
        yield Figure(
            preset=name,
            what=f"prefill {length}",
            unit="tokens/s",
            ceiling="gemm",
            of_ceiling=gflops / ceilings.gemm_gflops,
            **timed,
        )
    for count in config.batch_sizes:
        notify(f"{name}: decode, batch {count}")
        prompt = ids(count, config.context)
        runs = {key: _writer(side, prompt, config.decode_tokens) for key, side in sides.items()}
        timed = _take_turns(runs, count * config.decode_tokens, config.repeats)
        ceiling: dict[str, Any] = {}
        if count == 1:  # how many experts a batch shares is the router's affair
            read = 4 * with_head * timed["rates"]["latentvlm"].median / 1e9
            ceiling = {"ceiling": "memory read", "of_ceiling": read / ceilings.read_gbytes}
        yield Figure(
            preset=name, what=f"decode, batch {count}", unit="tokens/s", **ceiling, **timed
        )
    if config.image_size:
        yield _image_figure(name, chosen, config, ceilings, notify)


def _image_figure(name, chosen, config: SpeedConfig, ceilings: Ceilings, notify) -> Figure:
    """The preset's own tower; ViT-B/16 for presets without one."""
    if isinstance(chosen, VisionLanguageConfig):
        vision = chosen.radio
    else:
        vision = RadioConfig(hidden_size=768, num_layers=12, num_heads=12, intermediate_size=3072)
    notify(f"{name}: images")
    side = config.image_size // vision.patch_size
    tower = RadioEncoder(vision).eval()
    theirs = radio(tower)
    pixels = torch.randn(side * side, vision.patch_dim, generator=torch.Generator().manual_seed(0))
    grid = torch.tensor([[side, side]])
    runs = {
        "latentvlm": lambda: tower(pixels, grid),
        "transformers": lambda: theirs(pixels, image_grid_hw=grid),
    }
    timed = _take_turns(runs, 1, config.repeats)
    tokens = side * side + vision.num_prefix_tokens
    products = sum(p.numel() for block in tower.blocks for p in block.parameters() if p.dim() > 1)
    products += 2 * tokens * vision.hidden_size * vision.num_layers  # attention
    gflops = 2 * products * tokens * timed["rates"]["latentvlm"].median / 1e9
    return Figure(
        preset=name,
        what=f"image {config.image_size} px, tower {vision.hidden_size} x {vision.num_layers}",
        unit="images/s",
        ceiling="gemm",
        of_ceiling=gflops / ceilings.gemm_gflops,
        **timed,
    )


def _writer(side: Contender, prompt: torch.Tensor, tokens: int) -> Callable[[], object]:
    """Reads the prompt now; each call of the result writes the next tokens."""
    last = [side.prefill(prompt)]

    def write() -> None:
        for _ in range(tokens):
            last[0] = side.step(last[0])

    return write


@torch.inference_mode()
def _take_turns(
    runs: Mapping[str, Callable[[], object]], units: int, repeats: int
) -> dict[str, Any]:
    """Repeat all runs in turn, the first to start changing; the keyword arguments of a `Figure`."""
    seconds: dict[str, list[float]] = {key: [] for key in runs}
    processor: dict[str, list[float]] = {key: [] for key in runs}
    order = list(runs)
    for key in order:
        runs[key]()
    watch = LoadWatch().start()
    for repeat in range(repeats):
        for key in order if repeat % 2 == 0 else reversed(order):
            begin, cpu = time.perf_counter(), time.process_time()
            runs[key]()
            seconds[key].append(time.perf_counter() - begin)
            processor[key].append(time.process_time() - cpu)
    load = watch.share()
    rates = {
        key: Rate(
            median=units / statistics.median(times),
            low=units / max(times),
            high=units / min(times),
            # processor time of all threads: what one thread of them would have had
            cpu_median=units / statistics.median(processor[key]),
        )
        for key, times in seconds.items()
    }
    ours, theirs = (rates[side] for side in SIDES)
    return {
        "rates": rates,
        "ratio": ours.median / theirs.median,
        "cpu_ratio": ours.cpu_median / theirs.cpu_median,
        "foreign_load": load,
    }
