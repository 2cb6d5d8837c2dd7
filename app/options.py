"""Options that several commands share, declared once as dataclasses.

`expand_options` turns a parameter annotated with one of these classes into one command line
option per field, and hands the command the filled-in object.
"""

import dataclasses
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .progress import waiting
from .read_limits import read_limits
from .units import read_length

if TYPE_CHECKING:
    from ..vlm.sampling import GenerationConfig
    from ..vlm.vlm import VLM


@dataclasses.dataclass(frozen=True, kw_only=True)
class MediaOptions:
    """Which pages are read, and how finely they are drawn."""

    pages: Annotated[
        str | None, typer.Option(metavar="LIST", help="Pages to read, such as 1,3-5 (all).")
    ] = None
    dpi: Annotated[
        float | None, typer.Option(help="Dots per inch at which PDF pages are drawn.")
    ] = None
    text_layer: Annotated[
        bool, typer.Option("--text-layer", help="Also read the text that PDF pages carry.")
    ] = False
    media_limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="What opening a document may cost: max-bytes, max-pixels, max-total-pixels, "
            "max-pages (200); again for more.",
        ),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """What was given, as keyword arguments of `VLM.ask`."""
        given = {"pages": self.pages, "dpi": self.dpi, "text_layer": self.text_layer}
        if not self.media_limit:
            return given
        from ..data.media.types import MediaLimits

        limits = read_limits(MediaLimits, self.media_limit, option="--media-limit", of="documents")
        return {**given, "media_limits": limits}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model answers, and where it runs."""

    model: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|ID", help="Checkpoint folder or hub id (the model in the package)."
        ),
    ] = None
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps (the best there is).")
    ] = None
    device_map: Annotated[
        str | None,
        typer.Option(
            metavar="auto|DEVICE=SIZE,...",
            help="Spread a large model: auto, or cuda:0=20GiB,cpu=64GiB (one device).",
        ),
    ] = None
    context: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="Tokens a spread model keeps room for, as 32k (8k)."),
    ] = None
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16 (what suits the device).")
    ] = None
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a hub id (the newest).")
    ] = None
    quantized: Annotated[
        str | None,
        typer.Option(help="packed, expand or experts-int8 (packed, if weights are quantized)."),
    ] = None
    kv_cache: Annotated[
        str | None, typer.Option(help="fp8 keeps keys and values in 8 bits (as the model).")
    ] = None
    ssm_cache: Annotated[
        str | None, typer.Option(help="float16 or int8 keeps the states of scans so (float32).")
    ] = None

    def load(self) -> "VLM":
        """Reads the checkpoint; this is where torch is first imported."""
        from ..vlm.api import load

        def told(placement: object) -> None:
            print(placement, file=sys.stderr, flush=True)

        context = None if self.context is None else read_length(self.context, option="--context")
        with waiting(f"opening {self.model or 'the model in the package'}"):
            return load(
                self.model,
                device=self.device,
                device_map=self.device_map,
                context=context,
                on_placement=told,
                dtype=self.dtype,
                quantized=self.quantized or "packed",  # type: ignore[arg-type]  # load checks it
                kv_cache=self.kv_cache,
                ssm_cache=self.ssm_cache,  # type: ignore[arg-type]  # load checks it
                revision=self.revision,
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How the next token is chosen, and when an answer ends."""

    max_tokens: Annotated[int | None, typer.Option(help="Longest answer, in tokens.")] = None
    temperature: Annotated[
        float | None, typer.Option(help="0 always takes the likeliest token.")
    ] = None
    top_p: Annotated[
        float | None, typer.Option(help="Draw from the likeliest tokens of this total probability.")
    ] = None
    top_k: Annotated[
        int | None, typer.Option(help="Draw from this many of the likeliest tokens.")
    ] = None
    min_p: Annotated[
        float | None,
        typer.Option(help="Leave out tokens below this share of the likeliest one's probability."),
    ] = None
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1, tokens already used become less likely.")
    ] = None
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same answer.")] = None
    stop: Annotated[
        list[str] | None, typer.Option(help="Text that ends the answer; may be given again.")
    ] = None

    def generation(self) -> "GenerationConfig":
        """The library's defaults, with what was given in their place."""
        from ..vlm.sampling import GenerationConfig

        given = {name: value for name, value in vars(self).items() if value is not None}
        if "stop" in given:
            given["stop"] = tuple(given["stop"])
        return GenerationConfig(**given)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThinkingOptions:
    """Whether the model thinks aloud before it answers, and which tools it may call."""

    think: Annotated[
        bool | None,
        typer.Option("--think/--no-think", help="Think aloud first (what the model does unasked)."),
    ] = None
    thinking_budget: Annotated[
        int | None, typer.Option(help="Tokens after which a thought is closed.")
    ] = None
    low_effort: Annotated[bool, typer.Option("--low-effort", help="Think only briefly.")] = False
    show_thinking: Annotated[
        bool, typer.Option("--show-thinking", help="Write the thought to standard error.")
    ] = False
    tools: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="JSON list of the tools that the model may call."),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """What was given, as keyword arguments of `VLM.ask`."""
        return {
            "thinking": self.think,
            "thinking_budget": self.thinking_budget,
            "low_effort": self.low_effort,
            "tools": self._read_tools(),
        }

    def _read_tools(self) -> Any:
        if self.tools is None:
            return ()
        try:
            return json.loads(Path(self.tools).expanduser().read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.tools} cannot be read as JSON: {error}.") from error


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces each parameter that is an options class by that class's fields."""
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind = parameter.annotation
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            # By keyword, as typer calls: then the order of those with a default is free.
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[name] = kind
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=field.type,
            )
            for field in dataclasses.fields(kind)
        ]

    def expanded(**values: Any) -> None:
        filled = {
            name: kind(**{field.name: values.pop(field.name) for field in dataclasses.fields(kind)})
            for name, kind in groups.items()
        }
        command(**values, **filled)

    expanded.__name__, expanded.__doc__ = command.__name__, command.__doc__
    # typer reads both of these to find its options.
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {each.name: each.annotation for each in parameters}
    return expanded
