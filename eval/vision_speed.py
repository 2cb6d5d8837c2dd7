"""What pictures and a PDF cost up to the first token, beside transformers.

Random weights: only time and memory are looked at. transformers cannot read a PDF; of its side the
tower over the same pages and the prefill of as many tokens are timed.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor

from ..data.image_transform import ImageConfig, ImageTransform
from ..data.media import open_media
from ..data.model_inputs import ModelInputs
from ..errors import BackendError
from ..vision_encoder.radio import RadioEncoder
from ..vlm.model import VisionLanguageModel
from ..vlm.prompt import see
from .contenders import Transformers, radio
from .drawn_pdf import text_pdf
from .machine import LoadWatch, forget_peak, resident_bytes
from .video_speed import random_vlm, read_prompt

OURS, THEIRS = "latentvlm", "transformers"
_QUESTION = [5, 6, 7, 8, 9, 10, 11, 12]  # ids in place of a text's


@dataclass(frozen=True, kw_only=True)
class VisionSpeedConfig:
    """What is measured.

    Attributes:
        image_side: of the picture that is encoded alone, in pixels.
        small: how many small pictures are encoded together and one by one; small_side: their side.
        pages: of the PDF. page_patches: the most of a page.
        memory: whether the peak memory of the PDF is taken, in a process of its own.
    """

    preset: str = "bench-vl"
    image_side: int = 448
    small: int = 64
    small_side: int = 128
    pages: int = 30
    page_patches: int = 512
    memory: bool = True
    repeats: int = 2
    threads: int = 1


QUICK = VisionSpeedConfig(
    image_side=128, small=8, small_side=64, pages=3, page_patches=64, memory=False, repeats=1
)


@dataclass(frozen=True, kw_only=True)
class VisionFigure:
    """Units a second, or seconds, of each side that can do it."""

    what: str
    unit: str
    sides: dict[str, float]

    @property
    def ratio(self) -> float | None:
        """Ours over theirs; of seconds theirs over ours. Above 1 we are faster."""
        if THEIRS not in self.sides:
            return None
        ours, theirs = self.sides[OURS], self.sides[THEIRS]
        return theirs / ours if self.unit == "s" else ours / theirs


@dataclass(kw_only=True)
class VisionReport:
    """Everything that was measured; `foreign_load` is what others used of the machine.

    Attributes:
        packed_ratio: small pictures a second together over one by one.
        pdf_tokens: of the prompt that is the PDF and a question.
        peak_bytes: of encoding and reading it beyond weights and patches, by side; None where the
            process that measures it did not get through.
    """

    config: VisionSpeedConfig
    figures: list[VisionFigure] = field(default_factory=list)
    packed_ratio: float = 0.0
    pdf_tokens: int = 0
    peak_bytes: dict[str, int | None] = field(default_factory=dict)
    foreign_load: float | None = None

    def as_values(self) -> dict[str, Any]:
        return asdict(self)


def measure_vision(
    config: VisionSpeedConfig, notify: Callable[[str], None] = lambda line: None
) -> VisionReport:
    """Run all of it.

    Raises:
        ConfigError: the preset is unknown or sees no pictures.
        MissingDependencyError: transformers is not installed.
    """
    torch.set_num_threads(config.threads)
    model = random_vlm(config.preset)
    assert isinstance(model.vision_encoder, RadioEncoder)
    report, watch = VisionReport(config=config), LoadWatch().start()
    with torch.inference_mode():
        _pictures(model.vision_encoder, config, report, notify)
        _document(model, config, report, notify)
    report.foreign_load = watch.share()
    if config.memory:
        notify("peak memory of the PDF")
        report.peak_bytes[OURS] = peak_of_pdf(config)
        notify("peak memory of transformers")
        try:
            report.peak_bytes[THEIRS] = peak_of_pdf(config, THEIRS)
        except BackendError as error:
            notify(str(error))
            report.peak_bytes[THEIRS] = None
    return report


def _pictures(
    tower: RadioEncoder,
    config: VisionSpeedConfig,
    report: VisionReport,
    notify: Callable[[str], None],
) -> None:
    """One large picture, and many small ones together and one by one."""
    theirs = radio(tower)
    notify(f"a picture of {config.image_side} px")
    pixels, grids = _noise(tower, 1, config.image_side)
    taken = _in_turns(
        {
            OURS: lambda: tower(pixels, grids),
            THEIRS: lambda: theirs(pixels, image_grid_hw=grids),
        },
        config.repeats + 1,
    )
    sides = {side: 1 / seconds for side, seconds in taken.items()}
    what = f"picture of {config.image_side} px, encoded"
    report.figures.append(VisionFigure(what=what, unit="images/s", sides=sides))
    notify(f"{config.small} pictures of {config.small_side} px")
    many, small_grids = _noise(tower, config.small, config.small_side)
    count = len(many) // config.small
    pieces, one = many.split(count), small_grids[:1]
    taken = _in_turns(
        {
            "packed": lambda: tower(many, small_grids),
            "alone": lambda: [tower(piece, one) for piece in pieces],
            THEIRS: lambda: [theirs(piece, image_grid_hw=one) for piece in pieces],
        },
        config.repeats + 1,
    )
    rates = {side: config.small / seconds for side, seconds in taken.items()}
    what = f"{config.small} pictures of {config.small_side} px, encoded"
    for how, ours in (("together", "packed"), ("one by one", "alone")):
        sides = {OURS: rates[ours], THEIRS: rates[THEIRS]}
        report.figures.append(VisionFigure(what=f"{what} {how}", unit="images/s", sides=sides))
    report.packed_ratio = rates["packed"] / rates["alone"]


def _document(
    model: VisionLanguageModel,
    config: VisionSpeedConfig,
    report: VisionReport,
    notify: Callable[[str], None],
) -> None:
    """A PDF from its bytes to the first token."""
    pdf = text_pdf(config.pages)
    assert isinstance(model.vision_encoder, RadioEncoder)
    theirs, their_tower = Transformers(model.language_model), radio(model.vision_encoder)
    ours: list[tuple[float, float, float, float]] = []
    other: list[tuple[float, float]] = []
    for repeat in range(config.repeats):
        notify(f"a PDF of {config.pages} pages, repeat {repeat + 1}")
        begin = time.perf_counter()
        pages = open_media(pdf)
        drawn = time.perf_counter()
        inputs = _pdf_inputs(model, config, [page.image for page in pages])
        prepared = time.perf_counter()
        seen = see(model, inputs)
        encoded = time.perf_counter()
        report.pdf_tokens, prefill = read_prompt(model, inputs, seen)
        ours.append((drawn - begin, prepared - drawn, encoded - prepared, prefill))
        notify(f"transformers, repeat {repeat + 1}")
        other.append(_their_times(theirs, their_tower, inputs))
    steps = [median(run[at] for run in ours) for at in range(4)]
    tower, prefill = (median(run[at] for run in other) for at in range(2))
    for what, seconds, sides in (
        ("drawn", steps[0], {}),
        ("prepared", steps[1], {}),
        ("encoded", steps[2], {THEIRS: config.pages / tower}),
    ):
        rates = {OURS: config.pages / seconds, **sides}
        report.figures.append(VisionFigure(what=f"PDF, {what}", unit="pages/s", sides=rates))
    report.figures += [
        VisionFigure(what="PDF, prefill", unit="s", sides={OURS: steps[3], THEIRS: prefill}),
        VisionFigure(
            what=f"PDF of {config.pages} pages, first token",
            unit="s",
            sides={OURS: sum(steps), THEIRS: tower + prefill},
        ),
    ]


def _pdf_inputs(
    model: VisionLanguageModel, config: VisionSpeedConfig, images: list[Any]
) -> ModelInputs:
    vision = model.config.vision
    transform = ImageTransform(
        ImageConfig(
            patch_size=vision.patch_size,
            downsample_ratio=model.config.downsample_ratio,
            min_num_patches=4,
            max_num_patches=config.page_patches,
            max_model_len=model.config.text.max_position_embeddings,
            image_mean=vision.image_mean,
            image_std=vision.image_std,
        )
    )
    packed = transform(images)
    shown = [[model.config.image_token_id] * info.visual_tokens for info in packed.infos]
    ids = [idx for page in shown for idx in (_QUESTION[0], *page, _QUESTION[1])] + _QUESTION * 4
    return ModelInputs(
        input_ids=torch.tensor(ids),
        pixel_values=packed.pixel_values,
        image_grid_hw=packed.image_grid_hw,
        images=packed.infos,
    )


def _their_times(theirs: Transformers, tower: Any, inputs: ModelInputs) -> tuple[float, float]:
    """Seconds of their tower, page by page, and of their prefill of as many tokens."""
    pixels, grids = inputs.pixel_values, inputs.image_grid_hw
    assert pixels is not None and grids is not None
    begin = time.perf_counter()
    seen = [
        tower(page, image_grid_hw=grid[None]).last_hidden_state
        for page, grid in zip(pixels.split(grids.prod(1).tolist()), grids, strict=True)
    ]
    encoded = time.perf_counter()
    theirs.prefill(torch.zeros(1, inputs.num_tokens, dtype=torch.int64))
    del seen  # held until now, as a model that puts them into its prompt must
    return encoded - begin, time.perf_counter() - encoded


def _noise(tower: RadioEncoder, count: int, side: int) -> tuple[Tensor, Tensor]:
    rows = side // tower.config.patch_size
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randn(count * rows * rows, tower.config.patch_dim, generator=draw)
    return pixels, torch.tensor([[rows, rows]] * count)


def _in_turns(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each; a first round, which allocates, is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            if repeat:
                seconds[name].append(time.perf_counter() - begin)
    return {name: median(each) for name, each in seconds.items()}


def peak_of_pdf(config: VisionSpeedConfig, side: str = OURS) -> int:
    """The most memory that encoding and reading the PDF takes beyond weights and patches, in bytes.

    Of transformers it is that of its tower and its prefill, one after the other.

    Raises:
        BackendError: the process that measures it failed.
    """
    numbers = [str(each) for each in (config.pages, config.page_patches, config.threads)]
    command = [sys.executable, "-W", "ignore", "-m", __name__, config.preset, side, *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise BackendError(f"Measuring the peak memory of a PDF, {side}, failed: {lines[-1]}")
    return int(done.stdout.split()[-1])


@torch.inference_mode()
def measure_here(config: VisionSpeedConfig, side: str) -> int:
    """`peak_of_pdf`, in this process."""
    torch.set_num_threads(config.threads)
    model = random_vlm(config.preset)
    images = [page.image for page in open_media(text_pdf(config.pages))]
    inputs = _pdf_inputs(model, config, images)
    if side == THEIRS:
        assert isinstance(model.vision_encoder, RadioEncoder)
        theirs, tower = Transformers(model.language_model), radio(model.vision_encoder)
        before = resident_bytes()
        forget_peak()
        _their_times(theirs, tower, inputs)
        return resident_bytes(peak=True) - before
    before = resident_bytes()
    forget_peak()
    read_prompt(model, inputs, see(model, inputs))
    return resident_bytes(peak=True) - before


if __name__ == "__main__":
    name, which, *numbers = sys.argv[1:]
    count, patches, threads = map(int, numbers)
    print(
        measure_here(
            VisionSpeedConfig(preset=name, pages=count, page_patches=patches, threads=threads),
            which,
        )
    )
