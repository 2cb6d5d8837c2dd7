"""The moments of a video as views: frames that the model takes together, and what it dropped."""

from dataclasses import dataclass

from PIL import Image

from ...vlm.seen_videos import SeenVideo
from ..explain.drawing import PAPER, draw_grid, draw_heat, draw_kept, fit
from ..explain.video_panels import GAP, tubelet_look, tubelet_share, video_title
from .views import BOX, INPUT, LOOKED


@dataclass(frozen=True, kw_only=True)
class MomentView:
    """A tubelet of a video: one frame, or several that are read together."""

    video: SeenVideo
    number: int
    most: float
    cited: bool = False

    @property
    def title(self) -> str:
        places = self.video.frames_of(self.number)
        seconds = self.video.report.timestamps[places[0]]
        return f"{video_title(self.video)} at {seconds:.2f} s"

    @property
    def facts(self) -> str:
        places = self.video.frames_of(self.number)
        named = ", ".join(str(place + 1) for place in places)
        total = len(self.video.frames)
        word = "Frame" if len(places) == 1 else "Frames"
        return (
            f"{word} {named} of the {total} seen: {tubelet_share(self.video, self.number)} are "
            "kept; grey is what was dropped as it had hardly changed."
        )

    @property
    def before(self) -> int:
        return self.video.info.tokens_per_tubelet

    @property
    def tokens(self) -> int:
        return self.video.info.kept_per_tubelet[self.number]

    @property
    def share(self) -> float | None:
        return None if self.video.looked is None else tubelet_look(self.video, self.number)

    def draw(self, way: str) -> Image.Image:
        seen, count = self.video, self.video.frames_per_tubelet
        box = ((BOX[0] - (count - 1) * GAP) // count, BOX[1])
        pictures = [self._frame(place, way, box) for place in seen.frames_of(self.number)]
        width, height = pictures[0].size
        sheet = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), PAPER)
        for across, picture in enumerate(pictures):
            sheet.paste(picture, (across * (width + GAP), 0))
        return sheet

    def _frame(self, place: int, way: str, box: tuple[int, int]) -> Image.Image:
        frame = Image.fromarray(self.video.frames[place])
        size = fit(frame.size, box)
        info = self.video.info
        if way == INPUT:
            height, width = info.resized_size
            seen = frame.resize((width, height), Image.Resampling.BICUBIC)
            return draw_grid(seen.resize(size, Image.Resampling.NEAREST), (1, 1))
        shown = frame.resize(size, Image.Resampling.LANCZOS)
        if info.kept_mask is not None:
            shown = draw_kept(shown, info.kept_mask[self.number].tolist())
        if way == LOOKED and self.video.looked is not None:
            return draw_heat(shown, self.video.looked[self.number].tolist(), self.most)
        return draw_grid(shown, info.shape[1:])
