"""Options that say which visual tokens of videos are dropped."""

import dataclasses
from typing import Annotated, Any

import typer


@dataclasses.dataclass(frozen=True, kw_only=True)
class EVSOptions:
    """How much of a video is read; see docs/evs.md."""

    evs_rate: Annotated[
        float | None,
        typer.Option(help="Share of a video's tokens to drop, 0 to below 1 (as the model says)."),
    ] = None
    token_budget: Annotated[
        int | None, typer.Option(help="Most visual tokens of all videos together.")
    ] = None
    evs_threshold: Annotated[
        float | None,
        typer.Option(help="Also drop video tokens that changed less than this, 0 to 2."),
    ] = None
    evs_floor: Annotated[
        float | None,
        typer.Option(help="Share of each moment of a video that stays in any case (0)."),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """What was given, as keyword arguments of `VLM.ask`."""
        given = {
            "rate": self.evs_rate,
            "token_budget": self.token_budget,
            "threshold": self.evs_threshold,
            "floor": self.evs_floor,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if not given:
            return {}
        from ..token_reduction.evs import EVSConfig

        return {"evs": EVSConfig(**given)}
