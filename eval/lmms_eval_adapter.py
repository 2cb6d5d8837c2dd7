"""Our models in lmms-eval: `python -m lmms_eval --model latentvlm --model_args pretrained=FOLDER`.

lmms-eval finds the name by this package's entry point in its group `lmms_eval.models`, which is
`manifest`, and then the class `LatentVLM` here. That class is made when it is asked for, as its
base class is lmms-eval's, which may be absent.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import ConfigError, MissingDependencyError
from .responder import VLMResponder, fingerprint
from .samples import Request

_DEFAULT_TOKENS = 1024


def make_adapter(base: type) -> type:
    """A subclass of lmms-eval's `lmms_eval.api.model.lmms` that asks one of our models.

    Args:
        base: that class; its abstract methods are `loglikelihood`, `generate_until` and
            `generate_until_multi_round`.
    """

    class LatentVLM(base):  # type: ignore[misc, valid-type]
        is_simple = True

        def __init__(
            self,
            pretrained: str = "",
            device: str | None = None,
            dtype: str | None = None,
            batch_size: int | str = 1,
            max_frames: int | str | None = None,
            fps: float | str | None = None,
            evs_rate: float | str | None = None,
            token_budget: int | str | None = None,
            dpi: float | str | None = None,
            **unknown: Any,
        ) -> None:
            """As `--model_args` gives them, texts or numbers.

            Raises:
                ConfigError: an argument is unknown.
            """
            super().__init__()
            if unknown:
                raise ConfigError(f"--model_args has {', '.join(unknown)}, which are unknown.")
            from ..data.frame_choice import FrameChoice
            from ..vlm.api import PRETRAINED, load

            vlm = load(pretrained or None, device=device, dtype=dtype)
            arguments: dict[str, Any] = {}
            if max_frames is not None or fps is not None:
                arguments["frames"] = FrameChoice(
                    max_frames=None if max_frames is None else int(max_frames),
                    fps=None if fps is None else float(fps),
                )
            for name, value, kind in (
                ("evs_rate", evs_rate, float),
                ("token_budget", token_budget, int),
                ("dpi", dpi, float),
            ):
                if value is not None:
                    arguments[name] = kind(value)
            folder = Path(vlm.source.folder if vlm.source else pretrained or PRETRAINED)
            self.batch_size_per_gpu = int(batch_size)
            name = f"{folder.name} {fingerprint(folder)}"
            self._responder = VLMResponder(vlm, name=name, arguments=arguments, stops_on_error=True)

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            """Greedy answers, in the order of the requests.

            The arguments of an instance are: context, generation settings, a function from a row
            to its media, the row's id, the task and the split.
            """
            answers = []
            for instance in requests:
                context, settings, doc_to_visual, doc_id, task, split = instance.args
                row = self.task_dict[task][split][doc_id]
                media = [_medium(each) for each in doc_to_visual(row) or ()]
                request = Request(
                    id=f"{task}/{doc_id}",
                    question=context.replace("<image>", "").strip(),
                    media=tuple(media),
                    max_tokens=int(settings.get("max_new_tokens", _DEFAULT_TOKENS)),
                )
                (response,) = self._responder.generate([request])
                text = response.text
                for stop in _texts(settings.get("until")):
                    text = text.split(stop)[0]
                answers.append(text)
                self.cache_hook.add_partial("generate_until", (context, settings), text)
            return answers

        def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
            raise NotImplementedError("latentvlm answers tasks of one round in lmms-eval.")

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            raise NotImplementedError(
                "latentvlm answers tasks of the type generate_until in lmms-eval."
            )

    return LatentVLM


def manifest() -> Any:
    """What lmms-eval's registry of models asks an entry point for."""
    registry = import_module("lmms_eval.models.registry_v2")
    return registry.ModelManifest(model_id="latentvlm", simple_class_path=f"{__name__}.LatentVLM")


def __getattr__(name: str) -> Any:
    """`LatentVLM` over the lmms-eval that is installed.

    Raises:
        MissingDependencyError: there is none.
    """
    if name != "LatentVLM":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        lmms = import_module("lmms_eval.api.model").lmms
    except ImportError as error:
        raise MissingDependencyError("This needs lmms-eval: pip install lmms-eval.") from error
    globals()[name] = make_adapter(lmms)
    return globals()[name]


def _medium(medium: Any) -> Any:
    """A path of a video stays; a picture becomes what `VLM.ask` takes."""
    if isinstance(medium, dict):
        raise ConfigError("lmms-eval gives sound or another medium that this model does not read.")
    return medium


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value or ()]
