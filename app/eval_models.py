"""Whatever `--model` names, as something that answers the questions of a benchmark."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import ModelOptions

if TYPE_CHECKING:
    from ..eval.responder import VLMResponder
    from ..eval.samples import Responder

TRANSFORMERS = "transformers:"


@dataclass(frozen=True, kw_only=True)
class OpenedModel:
    """A model that answers, and what the manifest says of it."""

    responder: "Responder"
    about: Mapping[str, Any]
    decoding: Mapping[str, Any]
    shown: Mapping[str, Any]


def open_model(
    model: ModelOptions,
    *,
    shown: Mapping[str, Any],
    max_tokens: int | None = None,
    concurrency: int | None = None,
    stops_on_error: bool = False,
) -> OpenedModel:
    """A checkpoint, `http://HOST/v1#NAME` of a server, or `transformers:FOLDER`.

    Raises:
        ConfigError: something is asked that this sort of model cannot do.
        CheckpointError, BackendError: it cannot be opened.
    """
    name = model.model or ""
    decoding = {"way": "greedy", "max_tokens": max_tokens, "seed": 0}
    told = {key: _told(value) for key, value in shown.items()}
    if name.startswith(("http://", "https://")):
        from ..eval.server_model import ServerModel

        _refuse(shown, "a server", "dpi", "frames")
        url, _, called = name.partition("#")
        server = ServerModel(
            url,
            called or None,
            concurrency=concurrency or 8,
            dpi=shown.get("dpi"),
            frames=shown.get("frames"),
            max_tokens=max_tokens,
            stops_on_error=stops_on_error,
        )
        about = {"name": server.name, "sort": "server", "url": server.url}
        return OpenedModel(responder=server, about=about, decoding=decoding, shown=told)
    if name.startswith(TRANSFORMERS):
        from ..eval.transformers_model import TransformersModel

        _refuse(shown, "transformers", "dpi", "frames")
        theirs = TransformersModel(
            name.removeprefix(TRANSFORMERS),
            device=model.device,
            dtype=model.dtype,
            dpi=shown.get("dpi"),
            frames=shown.get("frames"),
            max_tokens=max_tokens,
            stops_on_error=stops_on_error,
        )
        about = {
            "name": theirs.name,
            "sort": "transformers",
            "dtype": model.dtype or "float32",
            "device": theirs.device,
        }
        return OpenedModel(responder=theirs, about=about, decoding=decoding, shown=told)
    responder = make_responder(model)
    responder.arguments = dict(shown)
    responder.max_tokens, responder.stops_on_error = max_tokens, stops_on_error
    responder.batch = concurrency or 1
    return OpenedModel(
        responder=responder,
        about=describe(responder, model),
        decoding={**decoding, "batch": responder.batch},
        shown=told,
    )


def describe(responder: "VLMResponder", model: ModelOptions) -> dict[str, Any]:
    """What a manifest says of our own model."""
    import torch

    from ..vlm.prompt import language_model

    vlm = responder.vlm
    weight = language_model(vlm.model).embeddings.weight
    source = vlm.source
    return {
        "name": responder.name,
        "sort": "latentvlm",
        "dtype": str(weight.dtype).removeprefix("torch."),
        "device": str(weight.device) if vlm.placement is None else str(vlm.placement.devices),
        "device_name": torch.cuda.get_device_name(weight.device)
        if weight.device.type == "cuda"
        else "cpu",
        "quantized": model.quantized,
        "kv_cache": model.kv_cache,
        "ssm_cache": model.ssm_cache,
        "revision": None if source is None else getattr(source, "commit", None),
        "threads": torch.get_num_threads(),
    }


def make_responder(model: ModelOptions) -> "VLMResponder":
    """Our model, named by its folder and a checksum of what is in it."""
    from ..eval.responder import VLMResponder, fingerprint
    from ..vlm.api import PRETRAINED

    vlm = model.load()
    if vlm.source is not None:
        folder = Path(vlm.source.folder).resolve()
    else:
        folder = Path(model.model).expanduser().resolve() if model.model else PRETRAINED
    return VLMResponder(vlm, name=f"{folder.name} {fingerprint(folder)}", looks=True)


def _refuse(shown: Mapping[str, Any], what: str, *known: str) -> None:
    from ..errors import ConfigError

    for key in shown.keys() - set(known):
        raise ConfigError(f"{key} cannot be asked of {what}; leave it out.")


def _told(value: Any) -> Any:
    """A value for JSON."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
