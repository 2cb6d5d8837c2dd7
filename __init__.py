"""LatentVLM: ask documents questions.

    import latentvlm

    vlm = latentvlm.load()
    print(vlm.ask("What is the total?", "invoice.png").text)

Importing this package imports nothing else of it, and no torch: every name below is looked up
when it is first used, so `latentvlm --help` answers at once and the checkout may have any name.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data.frame_choice import FrameChoice
    from .data.media.clip import VideoLimits, VideoReport
    from .data.media.types import MediaLimits
    from .errors import (
        BackendError,
        BusyError,
        CheckpointError,
        ConfigError,
        DataError,
        ExportError,
        FusionError,
        InputError,
        LatentVLMError,
        MediaError,
        MissingDependencyError,
        PromptError,
    )
    from .token_reduction.evs import EVSConfig
    from .token_reduction.reuse import ReuseConfig
    from .vlm.answer import Answer, CitedPage, Score, Timing, Usage, VideoUsage
    from .vlm.answer_parts import AnswerPiece
    from .vlm.api import load
    from .vlm.ask_options import AskOptions
    from .vlm.engine import Engine
    from .vlm.engine_config import EngineConfig
    from .vlm.engine_stream import EngineStream
    from .vlm.extract import Extracted, FieldSpec
    from .vlm.sampling import GenerationConfig
    from .vlm.tool_calls import ToolCall
    from .vlm.vlm import VLM

    __version__: str

# Public name -> the module that defines it.
_HOME = {
    "Answer": ".vlm.answer",
    "AnswerPiece": ".vlm.answer_parts",
    "AskOptions": ".vlm.ask_options",
    "BackendError": ".errors",
    "BusyError": ".errors",
    "CheckpointError": ".errors",
    "CitedPage": ".vlm.answer",
    "ConfigError": ".errors",
    "DataError": ".errors",
    "EVSConfig": ".token_reduction.evs",
    "Engine": ".vlm.engine",
    "EngineConfig": ".vlm.engine_config",
    "EngineStream": ".vlm.engine_stream",
    "ExportError": ".errors",
    "Extracted": ".vlm.extract",
    "FieldSpec": ".vlm.extract",
    "FrameChoice": ".data.frame_choice",
    "FusionError": ".errors",
    "GenerationConfig": ".vlm.sampling",
    "InputError": ".errors",
    "LatentVLMError": ".errors",
    "MediaError": ".errors",
    "MediaLimits": ".data.media.types",
    "MissingDependencyError": ".errors",
    "PromptError": ".errors",
    "ReuseConfig": ".token_reduction.reuse",
    "Score": ".vlm.answer",
    "Timing": ".vlm.answer",
    "ToolCall": ".vlm.tool_calls",
    "Usage": ".vlm.answer",
    "VLM": ".vlm.vlm",
    "VideoLimits": ".data.media.clip",
    "VideoReport": ".data.media.clip",
    "VideoUsage": ".vlm.answer",
    "load": ".vlm.api",
}

__all__ = [
    "Answer",
    "AnswerPiece",
    "AskOptions",
    "BackendError",
    "BusyError",
    "CheckpointError",
    "CitedPage",
    "ConfigError",
    "DataError",
    "EVSConfig",
    "Engine",
    "EngineConfig",
    "EngineStream",
    "ExportError",
    "Extracted",
    "FieldSpec",
    "FrameChoice",
    "FusionError",
    "GenerationConfig",
    "InputError",
    "LatentVLMError",
    "MediaError",
    "MediaLimits",
    "MissingDependencyError",
    "PromptError",
    "ReuseConfig",
    "Score",
    "Timing",
    "ToolCall",
    "Usage",
    "VLM",
    "VideoLimits",
    "VideoReport",
    "VideoUsage",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("latentvlm")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name], __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
