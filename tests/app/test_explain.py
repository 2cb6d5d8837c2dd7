"""What the model sees of pages, drawn: the values behind the picture, and the files written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
import torch
from PIL import Image
from support.tiny_vl_v2 import TILE, write_tiny_vl_v2

import latentvlm
from latentvlm.app.cli import main
from latentvlm.app.explain.drawing import draw_grid, draw_heat, fit, shorten, type_of, wrap
from latentvlm.app.explain.page_html import draw_html
from latentvlm.app.explain.panels import page_facts
from latentvlm.app.explain.sheet import MOST_PAGES, choose_pages, draw_sheet
from latentvlm.errors import InputError
from latentvlm.vlm.asking import make_request
from latentvlm.vlm.citations import page_shares
from latentvlm.vlm.conversation import question_message
from latentvlm.vlm.explaining import Watch, as_grid, explain
from latentvlm.vlm.generate import Generation

SHORT = latentvlm.GenerationConfig(max_tokens=4)


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> latentvlm.VLM:
    return latentvlm.load(tiny_folder)


def page(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))


def test_what_was_looked_at_is_the_attention_rows_of_the_answer(vlm) -> None:
    found = explain(vlm, "What?", [page(64, 48), page(160, 32)], generation=SHORT)
    assert [seen.token_grid for seen in found.pages] == [(3, 4), (2, 10)]
    assert found.answer is not None
    assert found.answer.text == vlm.ask("What?", page(64, 48), page(160, 32), generation=SHORT).text
    maps = [seen.looked for seen in found.pages]
    assert all(
        m is not None and m.shape == s.token_grid for m, s in zip(maps, found.pages, strict=True)
    )
    assert sum(float(m.sum()) for m in maps if m is not None) == pytest.approx(1, abs=1e-5)

    # The same by the rows that cite pages, sums of a page over its size and evened out.
    images = [{"type": "image", "image": page(64, 48)}, {"type": "image", "image": page(160, 32)}]
    content = [*images, {"type": "text", "text": "What?"}]
    inputs = vlm.processor([{"role": "user", "content": content}])
    generation = Generation(vlm.model, inputs, SHORT, end_ids=vlm.end_ids, can_look=True)
    assert list(generation)
    means = generation.look()
    assert means is not None
    mean = means.mean((0, 1), keepdim=True)
    even = page_shares(mean, inputs.input_ids, vlm.processor.image_token_id, [12, 20])[0, 0]
    means = torch.tensor([float(m.mean()) for m in maps if m is not None])
    assert torch.allclose(means / means.sum(), even.cpu(), atol=1e-5)


def test_an_engine_sees_where_its_answers_look_and_a_stopped_one_is_not_looked_at(vlm) -> None:
    pictures = [page(64, 48), page(160, 32)]
    request = make_request([question_message("What?", pictures)], generation=SHORT)
    watch = Watch(vlm, vlm.prepare(request))
    with vlm.new_engine() as engine:
        engine.submit(watch.prepared)[0].read()
        stopped = Watch(vlm, replace(vlm.prepare(request), is_cancelled=lambda: True))
        engine.submit(stopped.prepared)[0].read()
    alone = explain(vlm, "What?", pictures, generation=SHORT)
    for found, wanted in zip(watch.explanation().pages, alone.pages, strict=True):
        assert found.looked is not None and wanted.looked is not None
        assert torch.allclose(found.looked, wanted.looked, atol=1e-5)
    assert [seen.looked for seen in stopped.explanation().pages] == [None, None]


def test_without_a_question_nothing_is_asked_of_the_model(vlm, monkeypatch) -> None:
    monkeypatch.setattr(type(vlm.model), "forward", None)
    monkeypatch.setattr(type(vlm.model), "see", None)
    found = explain(vlm, "", [page(96, 64)], token_budget=12)
    (seen,) = found.pages
    assert found.answer is None and seen.looked is None
    assert seen.info.visual_tokens <= 12 < seen.info.visual_tokens_before == 24
    assert "visual tokens of 24, reduced by" in page_facts(seen)


def test_tiles_are_put_where_they_are_on_the_page(tmp_path: Path) -> None:
    tokens = torch.arange(16)  # two tiles of 2 x 2 tokens beside two others
    grid = as_grid(tokens, (4, 4), (2, 2))
    assert grid[0].tolist() == [0, 1, 4, 5] and grid[3].tolist() == [10, 11, 14, 15]
    write_tiny_vl_v2(tmp_path)
    vlm = latentvlm.load(tmp_path)
    found = explain(vlm, "What?", [page(3 * TILE, TILE)], generation=SHORT)
    (seen,) = found.pages
    assert seen.tiles == (1, 3) and seen.token_grid == (2, 6)
    assert seen.thumbnail_tokens == 4 and "in 1 x 3 tiles, and 4 of a thumbnail" in page_facts(seen)
    assert draw_sheet(found).size[1] > 100


def test_heat_is_on_the_cells_that_were_looked_at_and_lines_between_tokens() -> None:
    white = Image.new("RGB", (40, 20), (255, 255, 255))
    heat = np.asarray(draw_heat(white, [[0.0, 1.0], [0.0, 0.0]], 1.0)).astype(int)
    assert heat[5, 30, 0] > heat[5, 30, 2] + 60  # red where it looked
    assert abs(heat[5, 10] - 255).max() == 0 and abs(heat[15, 30] - 255).max() == 0
    lines = np.asarray(draw_grid(white, (2, 4)))
    assert (lines[5, 1:39] != 255).any(axis=-1).nonzero()[0].tolist() == [9, 19, 29]


def test_texts_and_pictures_keep_to_their_room() -> None:
    long = "word " * 200
    lines = wrap(long, 300, 15)
    assert len(lines) == 3 and lines[-1].endswith("…")
    assert all(type_of(15).getlength(line) <= 300 for line in lines)
    assert shorten("short", 300) == "short" and wrap("", 300) == []
    assert fit((10, 5000), (440, 560)) == (1, 560) and fit((1, 1), (440, 560)) == (4, 4)


def test_a_long_document_shows_the_pages_looked_at_and_says_so(vlm) -> None:
    pages = [page(16, 16, seed) for seed in range(MOST_PAGES + 3)]
    found = explain(vlm, "What?", pages, generation=SHORT)
    chosen = choose_pages(found)
    left = [seen for seen in found.pages if seen not in chosen]
    assert len(chosen) == MOST_PAGES and len(left) == 3
    least = min(float(seen.looked.sum()) for seen in chosen if seen.looked is not None)
    assert all(float(seen.looked.sum()) <= least for seen in left if seen.looked is not None)
    html = draw_html(found)
    assert html.count("<section") == MOST_PAGES + 3 and "http" not in html.replace("http-equiv", "")


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3)])
def test_pages_of_any_shape_can_be_drawn(vlm, size) -> None:
    found = explain(vlm, "What?", [page(*size)], generation=SHORT)
    assert draw_sheet(found).width > 400


def test_the_command_writes_a_picture_and_for_a_pdf_a_page(
    tiny_folder: Path, tmp_path: Path, capsys
) -> None:
    document = pypdfium2.PdfDocument.new()
    for _ in range(2):
        document.new_page(60, 40)
    document.save(tmp_path / "two.pdf")
    document.close()
    out = tmp_path / "deep" / "seen.png"
    with pytest.raises(SystemExit) as exit:
        main(
            [
                "explain",
                str(tmp_path / "two.pdf"),
                "What?",
                "--model",
                str(tiny_folder),
                "-o",
                str(out),
            ]
        )
    assert exit.value.code == 0
    told = capsys.readouterr().out
    assert str(out) in told and str(out.with_suffix(".html")) in told
    with Image.open(out) as drawn:
        assert drawn.size[0] > 900
    html = out.with_suffix(".html").read_text()
    assert "page 2 of 2" in html and html.count("data:image/png;base64,") == 6


def test_what_cannot_be_explained_is_said(vlm, tmp_path: Path, capsys) -> None:
    with pytest.raises(InputError, match="no page to explain"):
        explain(vlm, "What?", [])
    for wrong, sentence in (
        (["explain", "a.png", "-o", "a.jpg"], "must end in .png"),
        (["explain", str(tmp_path / "no.png")], "no.png"),
    ):
        with pytest.raises(SystemExit) as exit:
            main(wrong)
        assert exit.value.code == 2
        assert sentence in capsys.readouterr().err
