"""What a model makes of long inputs: drawn videos at each pruning rate, and booklets of five pages.

Accuracy is asked of an engine that encodes each video once for all rates. Time to the first token
is measured apart, one question after another with nothing kept, the rates in turns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ..errors import ConfigError
from ..token_reduction.evs import EVSConfig
from ..token_reduction.reuse import ReuseConfig
from ..vlm.api import VLM
from ..vlm.citations import Citations
from ..vlm.engine import Engine
from ..vlm.engine_config import EngineConfig
from ..vlm.sampling import GenerationConfig
from .benchmarks import Loaded
from .citations import FEWEST, FIRST_SEED, PAGES, Looked, calibrate, judge, look
from .drawn import MANY_FRAMES, load_videos
from .evaluate import evaluate, read_run, write_json
from .machine import LoadWatch
from .manifest import make_manifest, versions
from .metrics import Profile
from .responder import VLMResponder
from .scoring import Graded
from .totals import Estimate, difference, estimate

RESULT_FILE = "long.json"
Notify = Callable[[str, int, int], None]
_ENGINE = EngineConfig(max_batch=4)


@dataclass(frozen=True, kw_only=True)
class LongConfig:
    """What is measured.

    Attributes:
        questions: about videos; half of the videos have `MANY_FRAMES` frames or more.
        rates: of EVS. The first is what the others are compared with.
        reuse: levels of `ReuseConfig`, measured once more at the rate nearest to 0.75; None
            leaves that out.
        timed: long videos whose time to the first token is measured.
        rounds: how often.
        booklets: questions about five pages, which also judge the pages it cites: of a model
            whose citations are not calibrated, a half calibrates them. 0 for none.
    """

    questions: int = 80
    rates: tuple[float, ...] = (0.0, 0.5, 0.75, 0.9)
    reuse: float | None = 4.0
    timed: int = 4
    rounds: int = 2
    booklets: int = 120

    def __post_init__(self) -> None:
        for name, low in (("questions", 1), ("timed", 1), ("rounds", 1), ("booklets", 0)):
            if getattr(self, name) < low:
                raise ConfigError(f"{name} is {getattr(self, name)}; it is {low} or more.")
        if not self.rates:
            raise ConfigError("There is no pruning rate to measure.")

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """Name -> keyword arguments of `VLM.ask`."""
        found: dict[str, dict[str, Any]] = {
            f"{rate:.0%}": {"evs": EVSConfig(rate=rate)} for rate in self.rates
        }
        if self.reuse is not None:
            rate = min(self.rates, key=lambda each: abs(each - 0.75))
            reuse = ReuseConfig(threshold=self.reuse)
            found[f"{rate:.0%}, reuse {self.reuse:g}"] = {
                "evs": EVSConfig(rate=rate),
                "reuse": reuse,
            }
        return found


def measure_long(
    vlm: VLM,
    name: str,
    folder: str | Path,
    config: LongConfig,
    *,
    about: Mapping[str, Any],
    notify: Notify = lambda what, done, total: None,
) -> tuple[dict[str, Any], Citations | None]:
    """Measures a model and writes `long.json`, and a run for each rate, into a folder.

    Started again with the same folder, it asks about videos only what has no answer yet.

    Args:
        name: of the model, with its checksum.
        about: what manifests say of it.

    Returns:
        What `long.json` holds, and how pages are to be cited by what was seen.

    Raises:
        ConfigError: the model sees no videos, or has no attention layer.
        DataError: the folder holds a run of something else.
    """
    if not vlm.processor.sees_videos:
        raise ConfigError("This model sees no videos, so there is nothing to measure.")
    folder = Path(folder)
    loaded = load_videos(config.questions)
    found: dict[str, Any] = {
        "model": name,
        "config": asdict(config),
        "versions": versions(),
        "threads": torch.get_num_threads(),
    }
    found["videos"] = _videos(vlm, name, folder, loaded, config, about, notify)
    watch = LoadWatch().start()
    times = time_first_tokens(vlm, loaded, config, notify)
    found["times"] = {"foreign_load": watch.share(), "settings": times}
    how = None
    if config.booklets:
        found["booklets"], how = _booklets(vlm, config.booklets, notify)
    write_json(folder / RESULT_FILE, found)
    return found, how


def _videos(
    vlm: VLM,
    name: str,
    folder: Path,
    loaded: Loaded,
    config: LongConfig,
    about: Mapping[str, Any],
    notify: Notify,
) -> dict[str, Any]:
    """Scores of every setting, by kind and of long videos, and what was lost beside the first."""
    runs: dict[str, list[Graded]] = {}
    total = len(loaded.questions) * len(config.settings)
    done = 0

    def count(response: object) -> None:
        nonlocal done
        done += 1
        notify("videos", done, total)

    with Engine(vlm, _ENGINE) as engine:
        for setting, arguments in config.settings.items():
            responder = VLMResponder(
                vlm, name=name, arguments=arguments, batch=_ENGINE.max_batch, engine=engine
            )
            manifest = make_manifest(
                loaded,
                model=about,
                decoding={"way": "greedy", "max_tokens": None, "seed": 0},
                shown={key: asdict(value) for key, value in arguments.items()},
                limit=config.questions,
            )
            place = folder / setting.replace("%", "").replace(", ", "-").replace(" ", "-")
            evaluate(loaded, responder, place, manifest, on_response=count)
            runs[setting] = read_run(place, Profile.STRICT)[1]
    first = next(iter(runs.values()))
    return {setting: _scores(graded, first) for setting, graded in runs.items()}


def _scores(graded: Sequence[Graded], first: Sequence[Graded]) -> dict[str, Any]:
    kinds = sorted({each.line["kind"] for each in graded})
    groups = {"all": graded, "long": [each for each in graded if _is_long(each)]}
    groups |= {kind: [each for each in graded if each.line["kind"] == kind] for kind in kinds}
    details = [each.response.details for each in graded if each.response.details]
    long = [each.response.details for each in groups["long"] if each.response.details]
    of_long = [each for each in first if _is_long(each)]
    return {
        **{name: asdict(_estimate(each)) for name, each in groups.items()},
        "lost": {
            "all": asdict(_lost(first, graded)),
            "long": asdict(_lost(of_long, groups["long"])),
        },
        "failed": sum(each.response.finish_reason == "error" for each in graded),
        "visual_tokens": _mean(details, "visual_tokens"),
        "long_visual_tokens": _mean(long, "visual_tokens"),
        "long_prompt_tokens": _mean(long, "prompt_tokens"),
    }


def _is_long(graded: Graded) -> bool:
    return len(graded.line["media"][0]["timestamps"]) >= MANY_FRAMES


def _estimate(graded: Sequence[Graded]) -> Estimate:
    return estimate([each.scored for each in graded])


def _lost(first: Sequence[Graded], second: Sequence[Graded]) -> Estimate:
    gap, _ = difference([each.scored for each in second], [each.scored for each in first])
    return gap


def _mean(details: Sequence[Mapping[str, Any]], key: str) -> float | None:
    known = [float(each[key]) for each in details if key in each]
    return round(sum(known) / len(known), 1) if known else None


def time_first_tokens(
    vlm: VLM, loaded: Loaded, config: LongConfig, notify: Notify
) -> dict[str, dict[str, Any]]:
    """Medians over long videos and rounds, in seconds; every setting in turn on each video."""
    long = [q for q in loaded.questions if len(q.media[0]["timestamps"]) >= MANY_FRAMES]
    of_videos = list({each.group: each for each in long}.values())[: config.timed]
    if not of_videos:
        raise ConfigError(
            f"The first {len(loaded.questions)} questions are of no video of {MANY_FRAMES} frames "
            "or more, so no time can be measured; ask more questions."
        )
    one = GenerationConfig(max_tokens=1)
    keys = ("time_to_first_token_s", "media_s", "encode_s", "prefill_s")
    taken: dict[str, list[Any]] = {name: [] for name in config.settings}
    total = config.rounds * len(of_videos)
    vlm.ask(of_videos[0].text, *of_videos[0].media, generation=one)  # whatever is made once
    for number in range(total):
        question = of_videos[number % len(of_videos)]
        for name, arguments in config.settings.items():
            answer = vlm.ask(question.text, *question.media, generation=one, **arguments)
            taken[name].append(answer.timing)
        notify("time to the first token", number + 1, total)
    found: dict[str, dict[str, Any]] = {}
    for name, times in taken.items():
        found[name] = {key: round(median(getattr(each, key) for each in times), 4) for key in keys}
        found[name]["videos"] = len(of_videos)
    return found


def _booklets(vlm: VLM, questions: int, notify: Notify) -> tuple[dict[str, Any], Citations | None]:
    """Accuracy by kind, and the page cited, judged on questions that citations did not see."""
    half = max(1, questions // 2)
    halves: list[list[Looked]] = [[], []]
    for kept, first_seed in zip(halves, (FIRST_SEED, FIRST_SEED + 1_000_000), strict=True):
        for each in look(vlm, half, first_seed=first_seed, about_pages=True):
            kept.append(each)
            notify("booklets", len(halves[0]) + len(halves[1]), 2 * half)
    seen = [*halves[0], *halves[1]]
    kinds = sorted({each.kind for each in seen})
    groups = {kind: [each for each in seen if each.kind == kind] for kind in kinds}
    found: dict[str, Any] = {
        "pages": PAGES,
        "kinds": {
            name: {"n": len(each), "score": sum(one.is_right for one in each) / len(each)}
            for name, each in {"all": seen, **groups}.items()
        },
    }
    if vlm.limits.citations is not None:
        return {**found, "citations": judge(halves[1], vlm.limits.citations)}, None
    if sum(each.is_right and each.page >= 0 for each in halves[0]) < FEWEST:
        return {**found, "citations": None}, None
    how = calibrate(halves[0])
    return {**found, "citations": judge(halves[1], how)}, how
