"""What a video costs up to the first token, with and without EVS, and beside transformers.

Random weights: only time and memory are looked at. transformers' own forward of a video fails
(5.23), so its side is put together from what works: its tower over the same tubelets, and its
prefill of as many tokens, without EVS, which it cannot do.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.frame_choice import FrameChoice
from ..data.media.frame_source import FrameNeeds
from ..data.media.video import read_video
from ..data.model_inputs import ModelInputs
from ..data.video import Video
from ..data.video_transform import VideoConfig, VideoTransform
from ..errors import BackendError, ConfigError
from ..token_reduction.budget import plan_videos
from ..token_reduction.evs import EVSConfig
from ..token_reduction.tubelets import Tubelets
from ..vision_encoder.radio import TUBELET_PATCHES, RadioEncoder
from ..vlm.config import VisionLanguageConfig
from ..vlm.generate import PREFILL_BLOCK, Generation
from ..vlm.model import VisionLanguageModel
from ..vlm.presets import preset
from ..vlm.prompt import embed_prompt, see
from ..vlm.sampling import GenerationConfig
from .contenders import Transformers, radio
from .machine import LoadWatch, forget_peak, resident_bytes
from .moving_pictures import camera, write_h264
from .reuse_quality import ReuseFigure, measure_reuse

SIDES = ("latentvlm", "transformers")
_LABEL = (5, 6, 7, 8, 9, 10, 11, 12)  # ids in place of a label's text


@dataclass(frozen=True, kw_only=True)
class VideoSpeedConfig:
    """What is measured.

    Attributes:
        frames: of the clip; size: of a frame of the file, height and width in pixels.
        patches: the most of a tubelet.
        rates: of EVS.
        reuse_frames: of each clip of the comparison with reuse; 0 leaves it out.
        memory_rates: rates of which the peak memory is taken, in processes of their own.
    """

    preset: str = "bench-vl"
    frames: int = 128
    size: tuple[int, int] = (360, 640)
    patches: int = 256
    rates: tuple[float, ...] = (0.0, 0.5, 0.75, 0.9)
    reuse_frames: int = 16
    memory_rates: tuple[float, ...] = (0.0, 0.75)
    repeats: int = 2
    threads: int = 1


QUICK = VideoSpeedConfig(
    frames=16, size=(180, 320), patches=256, rates=(0.0, 0.75), reuse_frames=8, memory_rates=(),
    repeats=1,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VideoFigure:
    """The clip at one rate, in seconds: medians of repeats.

    Attributes:
        tokens: of the prompt.
        decode_s: the file to frames of the size that the model wants; 0 where that is not counted.
        prepare_s: frames to patches. encode_s: tower and projector. prefill_s: EVS and the prompt.
        first_token_s: all four.
    """

    side: str
    rate: float
    tokens: int
    decode_s: float
    prepare_s: float
    encode_s: float
    prefill_s: float
    first_token_s: float


@dataclass(kw_only=True)
class VideoReport:
    """Everything that was measured; `foreign_load` is what others used of the machine.

    Attributes:
        peak_bytes: by side and rate; None where the process that measures it did not get through,
            for want of memory for example.
    """

    config: VideoSpeedConfig
    figures: list[VideoFigure] = field(default_factory=list)
    reuse: list[ReuseFigure] = field(default_factory=list)
    peak_bytes: dict[str, int | None] = field(default_factory=dict)
    foreign_load: float | None = None

    def as_values(self) -> dict[str, Any]:
        return asdict(self)


def measure_videos(
    config: VideoSpeedConfig, notify: Callable[[str], None] = lambda line: None
) -> VideoReport:
    """Run all of it.

    Raises:
        ConfigError: the preset is unknown or sees no videos.
        MissingDependencyError: transformers is not installed.
    """
    torch.set_num_threads(config.threads)
    model = random_vlm(config.preset)
    report = VideoReport(config=config)
    watch = LoadWatch().start()
    report.figures = _figures(model, config, notify)
    if config.reuse_frames:
        report.reuse = measure_reuse(
            model,
            frames=config.reuse_frames,
            size=config.size,
            patches=config.patches,
            repeats=config.repeats,
            notify=lambda line: notify(f"reuse, {line}"),
        )
    report.foreign_load = watch.share()
    for rate in config.memory_rates:
        notify(f"peak memory at rate {rate}")
        report.peak_bytes[f"{SIDES[0]} {rate}"] = peak_of_video(config, rate)
    if config.memory_rates:
        notify("peak memory of transformers")
        try:
            peak = peak_of_video(config, 0.0, SIDES[1])
        except BackendError as error:
            notify(str(error))
            peak = None
        report.peak_bytes[f"{SIDES[1]} 0.0"] = peak
    return report


def random_vlm(name: str) -> VisionLanguageModel:
    """A preset with random weights, large enough that patches of a tower see each other.

    Raises:
        ConfigError: there is no such preset, or it has no RADIO tower.
    """
    chosen = preset(name)
    if not isinstance(chosen, VisionLanguageConfig):
        raise ConfigError(f"The preset {name} is a language model; give one with a tower.")
    torch.manual_seed(0)
    model = VisionLanguageModel(chosen).eval()
    assert isinstance(model.vision_encoder, RadioEncoder)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.vision_encoder.parameters():
            if weight.dim() > 1:
                weight.normal_(std=weight.shape[-1] ** -0.5, generator=generator)
    return model


def _tubelets(model: VisionLanguageModel, config: VideoSpeedConfig) -> Tubelets:
    return Tubelets(
        patch_size=model.config.vision.patch_size,
        target_num_patches=config.patches,
        frames_per_tubelet=model.config.frames_per_tubelet,
    )


def clip_inputs(
    model: VisionLanguageModel,
    config: VideoSpeedConfig,
    rate: float,
    pictures: Sequence[np.ndarray],
    size: tuple[int, int] | None = None,
) -> ModelInputs:
    """A prompt that is one clip of these pictures, each tubelet after a label, and a question.

    Args:
        size: of the frames before they were scaled, if they were.
    """
    vision, rule = model.config.vision, _tubelets(model, config)
    transform = VideoTransform(
        VideoConfig(tubelets=rule, image_mean=vision.image_mean, image_std=vision.image_std)
    )
    times = tuple(map(float, range(len(pictures))))
    packed = transform([Video(frames=tuple(pictures), timestamps=times, size=size)])
    (info,) = packed.infos
    shown = [model.config.video_placeholder_id] * info.tokens_per_tubelet
    ids = [idx for _ in range(info.shape[0]) for idx in (*_LABEL, *shown)] + [*_LABEL] * 4
    return ModelInputs(
        input_ids=torch.tensor(ids),
        pixel_values_videos=packed.pixel_values,
        video_grid_thw=packed.grid_thw,
        evs=plan_videos([info.shape], [EVSConfig(rate=rate)]),
        visual_tokens=info.visual_tokens,
        visual_tokens_before=info.visual_tokens,
        videos=packed.infos,
    )


def _figures(
    model: VisionLanguageModel, config: VideoSpeedConfig, notify: Callable[[str], None]
) -> list[VideoFigure]:
    theirs = Transformers(model.language_model)
    assert isinstance(model.vision_encoder, RadioEncoder)
    their_tower = radio(model.vision_encoder)
    rule = _tubelets(model, config)

    def size(height: int, width: int) -> tuple[int, int]:
        rows, cols = rule.grid(height, width)
        return rows * rule.patch_size, cols * rule.patch_size

    needs = FrameNeeds(choice=FrameChoice(count=config.frames), size=size)
    runs: dict[tuple[str, float], list[tuple[int, float, float, float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="latentvlm-") as folder:
        path = write_h264(Path(folder) / "clip.mp4", camera(config.frames, *config.size))
        read_video(path, needs=replace(needs, choice=FrameChoice(count=1)))  # starts the decoder
        for repeat in range(config.repeats):
            notify(f"clip, repeat {repeat + 1}")
            begin = time.perf_counter()
            clip = read_video(path, needs=needs)
            decoded = time.perf_counter()
            inputs = clip_inputs(model, config, 0.0, clip.frames, clip.report.size)
            prepared = time.perf_counter()
            with torch.inference_mode():
                seen = see(model, inputs)
            encoded = time.perf_counter()
            steps = decoded - begin, prepared - decoded, encoded - prepared
            for rate in config.rates:
                notify(f"clip at rate {rate}, repeat {repeat + 1}")
                plans = plan_videos([inputs.videos[0].shape], [EVSConfig(rate=rate)])
                tokens, prefill = read_prompt(model, replace(inputs, evs=plans), seen)
                runs.setdefault((SIDES[0], rate), []).append((tokens, *steps, prefill))
            notify(f"transformers, repeat {repeat + 1}")
            times = _their_times(theirs, their_tower, *_their_inputs(inputs))
            runs.setdefault((SIDES[1], 0.0), []).append((inputs.num_tokens, 0.0, 0.0, *times))
    return [_figure(side, rate, found) for (side, rate), found in runs.items()]


@torch.inference_mode()
def read_prompt(
    model: VisionLanguageModel, inputs: ModelInputs, seen: tuple[list[Tensor], list[Tensor]]
) -> tuple[int, float]:
    """The tokens of a prompt whose media are encoded, and the seconds up to its last logits.

    Read in blocks as `Generation` does, what EVS drops left out first.
    """
    trunk = model.language_model
    begin = time.perf_counter()
    embeds_TD, _ = embed_prompt(model, inputs, lambda *_: seen)
    cache = trunk.allocate_cache(capacity=embeds_TD.shape[0] + 1)
    hidden_TD = embeds_TD
    for block_TD in embeds_TD.split(PREFILL_BLOCK):
        hidden_TD = trunk(block_TD, cache=cache)
    trunk.logits(hidden_TD[-1:])
    return embeds_TD.shape[0], time.perf_counter() - begin


def _figure(
    side: str, rate: float, found: Sequence[tuple[int, float, float, float, float]]
) -> VideoFigure:
    decode, prepare, encode, prefill = (median(run[at] for run in found) for at in (1, 2, 3, 4))
    return VideoFigure(
        side=side,
        rate=rate,
        tokens=found[0][0],
        decode_s=decode,
        prepare_s=prepare,
        encode_s=encode,
        prefill_s=prefill,
        first_token_s=decode + prepare + encode + prefill,
    )


def _their_inputs(inputs: ModelInputs) -> tuple[tuple[Tensor, ...], int]:
    """Tubelets as pictures for their tower, some at a time, and how many tokens are read."""
    assert inputs.pixel_values_videos is not None and inputs.video_grid_thw is not None
    tubelets, rows, cols = inputs.video_grid_thw[0].tolist()
    (info,) = inputs.videos
    side = info.resized_size[0] // rows
    pixels: Tensor = inputs.pixel_values_videos.view(tubelets, rows, cols, -1, side, side)
    pictures = pixels.permute(0, 3, 1, 4, 2, 5).reshape(tubelets, -1, rows * side, cols * side)
    return pictures.split(max(1, TUBELET_PATCHES // (rows * cols))), inputs.num_tokens


@torch.inference_mode()
def _their_times(
    theirs: Transformers, tower: Any, pieces: Sequence[Tensor], num_tokens: int
) -> tuple[float, float]:
    """Seconds of their tower over all tubelets, and of their prefill of as many tokens."""
    begin = time.perf_counter()
    seen = [tower(piece).last_hidden_state for piece in pieces]
    encoded = time.perf_counter()
    theirs.prefill(torch.zeros(1, num_tokens, dtype=torch.int64))
    del seen  # held until now, as a model that puts them into its prompt must
    return encoded - begin, time.perf_counter() - encoded


def peak_of_video(config: VideoSpeedConfig, rate: float, side: str = SIDES[0]) -> int:
    """The most memory that encoding and reading the clip takes beyond the weights, in bytes.

    Of transformers it is that of its tower and its prefill, one after the other.

    Raises:
        BackendError: the process that measures it failed.
    """
    sizes = [config.frames, *config.size, config.patches, config.threads]
    command = [sys.executable, "-W", "ignore", "-m", __name__, config.preset, side, str(rate)]
    done = subprocess.run([*command, *map(str, sizes)], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise BackendError(f"Measuring the peak memory of a video, {side}, failed: {lines[-1]}")
    return int(done.stdout.split()[-1])


def measure_here(config: VideoSpeedConfig, rate: float, side: str) -> int:
    """`peak_of_video`, in this process; the prepared patches are held before it begins."""
    torch.set_num_threads(config.threads)
    model = random_vlm(config.preset)
    inputs = clip_inputs(model, config, rate, camera(config.frames, *config.size))
    if side == SIDES[1]:
        assert isinstance(model.vision_encoder, RadioEncoder)
        theirs, tower = Transformers(model.language_model), radio(model.vision_encoder)
        prepared = _their_inputs(inputs)
        before = resident_bytes()
        forget_peak()
        _their_times(theirs, tower, *prepared)
        return resident_bytes(peak=True) - before
    before = resident_bytes()
    forget_peak()
    list(Generation(model, inputs, GenerationConfig(max_tokens=1)))
    return resident_bytes(peak=True) - before


if __name__ == "__main__":
    name, which, share, *numbers = sys.argv[1:]
    count, height, width, patches, threads = map(int, numbers)
    print(
        measure_here(
            VideoSpeedConfig(
                preset=name, frames=count, size=(height, width), patches=patches, threads=threads
            ),
            float(share),
            which,
        )
    )
