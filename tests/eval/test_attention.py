"""Where answers looked, as it is kept and shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.clips import write_clip

from latentvlm.data.frame_choice import FrameChoice
from latentvlm.data.media.frame_source import FrameNeeds
from latentvlm.data.media.video import read_video
from latentvlm.eval.attention import MOST_KEPT, MOST_SIDE, attention_record
from latentvlm.eval.heat import heat_colour, heat_layer
from latentvlm.eval.media import StoredFile
from latentvlm.eval.report.shown import shown_pictures
from latentvlm.vlm.explaining import Explanation, SeenPage
from latentvlm.vlm.seen_videos import SeenVideo


def seen(*maps: torch.Tensor) -> Explanation:
    """Pages of which only their maps matter."""
    page: Any = None
    return Explanation(
        pages=tuple(SeenPage(page=page, info=page, token_grid=(0, 0), looked=each) for each in maps)
    )


def test_what_got_most_is_kept_and_large_maps_shrink() -> None:
    pages = [torch.full((2, 3), 0.01 * idx) for idx in range(6)]
    found = attention_record(seen(*pages))
    assert [each["index"] for each in found] == [2, 3, 4, 5] and len(found) == MOST_KEPT
    assert found[-1]["map"] == [[255] * 3] * 2 and found[0]["map"][0][0] == 102
    assert found[-1]["share"] == pytest.approx(0.3)
    big = torch.zeros(100, 2)
    big[0, 0] = 1
    (one,) = attention_record(seen(big))
    assert np.shape(one["map"]) == (MOST_SIDE, 2) and one["map"][0] == [255, 0]


def test_a_tubelet_is_known_by_its_frames() -> None:
    clip = torch.tensor([0.1, 0.2, 0.7])[:, None, None].expand(3, 2, 2)
    nothing: Any = None
    frames = tuple(np.zeros((5, 4, 4, 3), np.uint8))
    video = SeenVideo(
        report=nothing, info=nothing, frames=frames, frames_per_tubelet=2, looked=clip
    )
    found = attention_record(Explanation(pages=(), videos=(video,)))
    assert [each["frames"] for each in found] == [[0, 1], [2, 3], [4]]
    assert attention_record(Explanation(pages=())) == []


def test_colours_rise_and_nothing_has_none() -> None:
    layer = np.asarray(heat_layer([[0, 128, 255]], 255))
    assert layer.shape == (1, 3, 4) and layer[0, 0, 3] == 0 < layer[0, 1, 3] < layer[0, 2, 3]
    assert tuple(layer[0, 2, :3]) == heat_colour(1.0)


def test_a_report_shows_the_frames_that_were_looked_at(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 20, fps=10)
    medium = StoredFile(path=str(tmp_path / "clip.mp4"))
    report = read_video(medium.path, needs=FrameNeeds(choice=FrameChoice(count=4))).report
    seen = {"indices": report.indices, "timestamps": report.timestamps, "way": "uniform"}
    looked = [
        {"kind": "frames", "index": 0, "frames": [2, 3], "share": 0.9, "map": [[0, 255]]},
    ]
    found, note = shown_pictures([medium], {"frames": [seen], "attention": looked})
    assert [each.label for each in found] == [f"{report.timestamps[2]:.2f} s, 90% of the attention"]
    assert found[0].heat.startswith("data:image/png") and found[0].is_frame
    assert note == "3 more pages or frames are not shown here."
    # Of frames that cannot be found again nothing is claimed.
    other = {**seen, "indices": [0, 2, 3, 4]}
    found, _ = shown_pictures([medium], {"frames": [other], "attention": looked})
    assert len(found) == 4 and not any(each.heat for each in found)


def test_of_a_long_document_the_pages_looked_at_are_shown(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (40, 20), (idx, 0, 0)) for idx in range(9)]
    pages[0].save(tmp_path / "nine.tiff", save_all=True, append_images=pages[1:])
    medium = StoredFile(path=str(tmp_path / "nine.tiff"))
    looked = [
        {"kind": "page", "index": idx, "frames": [], "share": 0.4, "map": [[255]]} for idx in (4, 7)
    ]
    found, note = shown_pictures([medium], {"attention": looked})
    assert [each.label for each in found] == [f"page {n}, 40% of the attention" for n in (5, 8)]
    assert note.startswith("7 more") and len(shown_pictures([medium], {})[0]) == 4
