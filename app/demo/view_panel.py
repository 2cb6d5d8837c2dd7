"""The side that shows what the model saw: a bar for each view, a slider, and the picture."""

from typing import Any

import gradio as gr

from ...vlm.explaining import Explanation
from .seen import best_view, views_of
from .timeline import ON_CLICK, timeline_html
from .views import LOOKED, TOKENS, WAYS, View

_NOTHING = "Pages and frames as the model got them stand here after an answer."


class ViewPanel:
    """Builds itself inside a `gr.Blocks`.

    Attributes:
        views: what there is to show.
        outputs: the views, then everything that shows one of them.
    """

    def __init__(self) -> None:
        gr.Markdown("### What the model saw", elem_id="view-head")
        self.views = gr.State([])
        self.way = gr.Radio(list(WAYS), value=TOKENS, label="Show", elem_id="view-way")
        self.timeline = gr.HTML("", js_on_load=ON_CLICK, elem_id="timeline")
        self.slider = gr.Slider(
            1, 2, 1, step=1, label="Page or moment", visible=False, elem_id="view-slider"
        )
        self.title = gr.Markdown("", elem_id="view-title")
        self.facts = gr.Markdown(_NOTHING, elem_id="view-facts")
        self.picture = gr.Image(
            show_label=False,
            interactive=False,
            buttons=["fullscreen", "download"],
            format="png",
            visible=False,
            elem_id="view-picture",
        )
        self.outputs = [
            self.views, self.timeline, self.slider, self.title, self.facts, self.picture
        ]  # fmt: skip

    def wire(self) -> None:
        """What the visitor moves is shown at once."""
        options: dict[str, Any] = {
            "queue": False,
            "show_progress": "hidden",
            "trigger_mode": "always_last",
            "api_visibility": "private",
        }
        shown = self.outputs[1:]
        at = [self.views, self.slider, self.way]
        self.slider.input(self._slide, at, shown, **options)
        self.way.input(self._slide, at, shown, **options)
        self.timeline.select(self._click, [self.views, self.way], shown, **options)

    def update(self, explanation: Explanation | None, way: str) -> tuple[Any, ...]:
        """New views; the one to look at first is shown."""
        views = views_of(explanation)
        return views, *self.show(views, best_view(views), way)

    def unchanged(self) -> list[Any]:
        return [gr.skip()] * len(self.outputs)

    def show(self, views: list[View], at: int, way: str) -> tuple[Any, ...]:
        """One of the views, as all outputs but the views themselves."""
        if not views:
            hidden = gr.Slider(visible=False)
            return "", hidden, "", _NOTHING, gr.Image(value=None, visible=False)
        at = min(max(at, 0), len(views) - 1)
        view = views[at]
        facts = view.facts
        if way == LOOKED:
            facts = "Nobody looked for this answer." if view.share is None else (
                f"{view.share:.0%} of the answer's look at everything seen went here; red is most."
            )  # fmt: skip
        slider = gr.Slider(
            minimum=1,
            maximum=max(2, len(views)),
            value=at + 1,
            visible=len(views) > 1,
            label=f"Page or moment, of {len(views)}",
        )
        picture = gr.Image(value=view.draw(way), visible=True)
        return timeline_html(views, at), slider, f"### {view.title}", facts, picture

    def _slide(self, views: list[View], place: float, way: str) -> tuple[Any, ...]:
        return self.show(views, int(place) - 1, way)

    def _click(self, views: list[View], way: str, chosen: gr.EventData) -> tuple[Any, ...]:
        return self.show(views, int(chosen.index), way)
