"""One video of a page that explains: a time line whose bars lead to each tubelet."""

from base64 import b64encode
from html import escape
from io import BytesIO

from PIL import Image

from ...vlm.seen_videos import SeenVideo
from .time_line import length_of, ticks
from .video_panels import (
    tubelet_look,
    tubelet_picture,
    tubelet_title,
    video_facts,
    video_title,
)
from .video_sheet import legend

VIDEO_STYLE = """
.line { position: relative; height: 140px; margin: 1rem 1rem 0; border-bottom: 2px solid #ced3da; }
.line > * { position: absolute; bottom: 0; }
.line a { width: 100%; background: #dee4ee; height: 100%; min-width: 2px; margin-right: 2px; }
.line a span { position: absolute; bottom: 0; width: 100%; background: #246cd6; }
.line a:hover span, .line a:focus span { background: #d63e24; }
.line i { width: 2px; height: 9px; bottom: -12px; background: #246cd6; }
.line b { width: 0; height: 100%; border-left: 2px dashed #d63e24; }
.line small { bottom: -2.2rem; transform: translateX(-50%); color: #68707a; white-space: nowrap; }
.moments { margin-top: 3.5rem; gap: .4rem 1.2rem; }
section .facts { margin: .3rem 0; }
.moments figure { max-width: 440px; } .moments figure:target { outline: 3px solid #d63e24; }
figcaption b { color: #d63e24; font-weight: 500; }
"""


def figure(picture: Image.Image, title: str, *, name: str = "", more: str = "") -> str:
    """A picture that the page itself holds, with its title."""
    mark = f' id="{name}"' if name else ""
    return (
        f'<figure{mark}><img alt="{escape(title, quote=True)}" src="{_data(picture)}">'
        f"<figcaption>{escape(title)}{more}</figcaption></figure>"
    )


def video_parts(seen: SeenVideo, name: str, most: float) -> list[str]:
    """A video's title, facts, time line and tubelets.

    Args:
        name: begins the names of what can be linked to.
        most: the attention of the token that got most of all that was seen.
    """
    facts = "".join(f'<p class="facts">{escape(line)}</p>' for line in video_facts(seen))
    figures = []
    for number in range(seen.info.shape[0]):
        look = ""
        if seen.looked is not None:
            look = f" <b>attention {tubelet_look(seen, number):.1%}</b>"
        picture = tubelet_picture(seen, number, most)
        title = tubelet_title(seen, number)
        figures.append(figure(picture, title, name=f"{name}-{number + 1}", more=look))
    return [
        f'<section id="{name}"><h2>{escape(video_title(seen))}</h2>{facts}'
        f'<p class="note">{escape(legend(seen))}</p>{_time_line(seen, name)}'
        f'<div class="panels moments">{"".join(figures)}</div></section>'
    ]


def _time_line(seen: SeenVideo, name: str) -> str:
    length, times = length_of(seen), seen.report.timestamps
    begins = [times[seen.frames_of(number)[0]] for number in range(seen.info.shape[0])]
    gaps = [b - a for a, b in zip(begins, begins[1:], strict=False) if b > a]
    wide = min([0.02, *[0.9 * gap / length for gap in gaps]])
    full = seen.info.tokens_per_tubelet
    marks = []
    for number, (begin, kept) in enumerate(zip(begins, seen.info.kept_per_tubelet, strict=True)):
        label = escape(tubelet_title(seen, number), quote=True)
        marks.append(
            f'<a href="#{name}-{number + 1}" title="{label}" '
            f'style="left:{begin / length:.2%};width:{wide:.2%}">'
            f'<span style="height:{kept / full:.2%}"></span></a>'
        )
    marks += [f'<i style="left:{each / length:.2%}"></i>' for each in times]
    marks += [f'<b style="left:{each / length:.2%}"></b>' for each in seen.report.scenes]
    marks += [
        f'<small style="left:{each / length:.2%}">{each:g} s</small>' for each in ticks(length)
    ]
    return f'<div class="line">{"".join(marks)}</div>'


def _data(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode("ascii")
