"""Options that say how many visual tokens pages and videos may take."""

import dataclasses
from typing import Annotated, Any

import typer


@dataclasses.dataclass(frozen=True, kw_only=True)
class EVSOptions:
    """How much of pages and videos is read; see docs/documents.md and docs/evs.md."""

    evs_rate: Annotated[
        float | None,
        typer.Option(help="Share of a video's tokens to drop, 0 to below 1 (as the model says)."),
    ] = None
    token_budget: Annotated[
        int | None, typer.Option(help="Most visual tokens of all pages and videos together.")
    ] = None
    evs_threshold: Annotated[
        float | None,
        typer.Option(help="Also drop video tokens that changed less than this, 0 to 2."),
    ] = None
    evs_floor: Annotated[
        float | None,
        typer.Option(help="Share of each moment of a video that stays in any case (0)."),
    ] = None

    reuse: Annotated[
        float | None,
        typer.Option(
            metavar="LEVELS",
            help="Do not encode again what changed by no more than this, of 255 (encode all).",
        ),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """What was given, as keyword arguments of `VLM.ask`."""
        budget: dict[str, Any] = {"token_budget": self.token_budget}
        if self.reuse is not None:
            from ..token_reduction.reuse import ReuseConfig

            budget["reuse"] = ReuseConfig(threshold=self.reuse)
        given: dict[str, Any] = {
            name: value
            for name, value in (
                ("rate", self.evs_rate),
                ("threshold", self.evs_threshold),
                ("floor", self.evs_floor),
            )
            if value is not None
        }
        if not given:
            return budget
        from ..token_reduction.evs import EVSConfig

        return {"evs": EVSConfig(**given), **budget}
