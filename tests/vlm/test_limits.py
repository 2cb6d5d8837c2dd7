"""Warnings: one sentence for each thing that lies beyond what a model was trained for."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image
from support.pdf_files import page_pdf

from latentvlm.data.media import Page
from latentvlm.data.synthetic import GeneratorConfig, generate
from latentvlm.errors import CheckpointError
from latentvlm.vlm.api import load
from latentvlm.vlm.limit_warnings import text_layer_warnings
from latentvlm.vlm.limits import LIMITS_FILE, ModelLimits
from latentvlm.vlm.photo import looks_like_photo
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

LIMITS = ModelLimits(
    trained_max_visual_tokens=40,
    trained_max_pages=1,
    trained_min_type_px=12,
    trained_characters="WhatishetoalReadsn.?",
    languages=("en",),
)


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return load(tiny_folder, device="cpu", dtype="float32")


def page(height: int, width: int) -> np.ndarray:
    """Ink on paper."""
    ink = np.random.default_rng(0).random((height, width)) < 0.1
    return np.where(ink[..., None], 0, 255).astype(np.uint8).repeat(3, axis=2)


def warnings(
    vlm: VLM, limits: ModelLimits, *media, question: str = "What is the total?", **options
) -> list[str]:
    """All warnings but that of the short answer."""
    told = VLM(vlm.model, processor=vlm.processor, limits=limits, end_ids=vlm.end_ids)
    answer = told.ask(question, *media, generation=GenerationConfig(max_tokens=1), **options)
    for warning in answer.warnings:
        assert warning.endswith(".") and "\n" not in warning
    return [warning for warning in answer.warnings if "cut off" not in warning]


def test_what_was_trained_gets_no_warning(vlm: VLM) -> None:
    assert warnings(vlm, LIMITS, page(64, 128)) == []


def test_nothing_known_warns_of_nothing(vlm: VLM) -> None:
    assert warnings(vlm, ModelLimits(), page(600, 800), page(16, 16), question="¿Qué?") == []


def test_a_page_shrunk_below_readable_type(vlm: VLM) -> None:
    # 256 patches of 8 px: 600 x 800 px become 112 x 144, so 12 px of type were 64 px or more.
    limits = dataclasses.replace(LIMITS, trained_max_visual_tokens=None)
    (warning,) = warnings(vlm, limits, page(600, 800))
    assert warning.startswith("array was shrunk to 18% of its size, so type below 67 px")
    assert "crop" in warning


def test_many_pages_are_warned_of_in_one_sentence(vlm: VLM) -> None:
    limits = ModelLimits(trained_min_type_px=12)
    (warning,) = warnings(vlm, limits, page(600, 800), page(300, 400), page(64, 64))
    assert warning.startswith("2 of 3 pages were shrunk, down to 18%, so type below 67 px in them")
    (warning,) = warnings(vlm, limits, page(11, 80), page(64, 64), page(8, 8))
    assert warning.startswith("2 of 3 pages are too thin for a line")


def test_a_page_shrunk_a_little_stays_readable(vlm: VLM) -> None:
    # 16 px of type, shrunk to 88%, are still 14 px.
    limits = dataclasses.replace(LIMITS, trained_max_visual_tokens=None)
    assert warnings(vlm, limits, page(128, 160)) == []


@pytest.mark.parametrize(("height", "width"), [(5000, 1), (11, 80), (1, 1)])
def test_a_page_too_thin_for_any_line(vlm: VLM, height: int, width: int) -> None:
    limits = ModelLimits(trained_min_type_px=12)
    (warning,) = warnings(vlm, limits, page(height, width))
    assert warning.startswith(f"array is {width} x {height} pixels, too thin for a line")
    assert warnings(vlm, limits, page(12, 80)) == []


def test_the_resolution_of_a_document_counts(vlm: VLM) -> None:
    limits = ModelLimits(trained_min_type_px=12)
    document = page_pdf((60, 36), (60, 36))
    assert warnings(vlm, limits, document) == []
    (drawn_small,) = warnings(vlm, limits, document, dpi=48)
    assert drawn_small.startswith("2 of 2 pages are drawn small") and "raise dpi" in drawn_small
    (drawn_small,) = warnings(vlm, limits, document, dpi=48, pages=1)
    assert drawn_small.startswith("Page 1 of ") and "raise dpi" in drawn_small
    # Drawn three times as large and shrunk to a half, its type is still as large as it was.
    assert warnings(vlm, limits, page_pdf((72, 72)), dpi=288) == []


def test_too_many_pages_and_too_many_tokens(vlm: VLM) -> None:
    many, large = warnings(vlm, LIMITS, page(80, 80), page(80, 80))
    assert "2 pages, more than the 1 " in many and "fewer" in many
    assert "50 visual tokens, more than the 40 " in large and "crop" in large


def test_characters_the_model_never_saw(vlm: VLM) -> None:
    (warning,) = warnings(vlm, LIMITS, question="What is the größe?")
    assert "g r ß ö" in warning and "languages: en" in warning
    chat = [{"role": "user", "content": [{"type": "text", "text": "Größe?"}]}]
    told = VLM(vlm.model, processor=vlm.processor, limits=LIMITS)
    assert "ß" in told.chat(chat, generation=GenerationConfig(max_tokens=1)).warnings[0]


def test_low_confidence(vlm: VLM) -> None:
    answer = vlm.ask("Who?", generation=GenerationConfig(max_tokens=3))
    config = GenerationConfig(max_tokens=3, stop_ids=(answer.token_ids[-1],))
    for bound, count in ((1.0, 1), (0.0, 0)):
        told = VLM(
            vlm.model, processor=vlm.processor, limits=ModelLimits(low_confidence=bound)
        ).ask("Who?", generation=config)
        assert told.finish_reason == "stop"
        assert len(told.warnings) == count
    assert vlm.ask("Who?", generation=config).warnings == ()


def test_an_answer_cut_off_says_so_in_any_case(vlm: VLM) -> None:
    answer = vlm.ask("Who?", generation=GenerationConfig(max_tokens=2))
    assert answer.warnings == ("The answer was cut off after 2 tokens; raise max_tokens.",)


def test_limits_travel_with_the_folder(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    assert load(folder, device="cpu").limits == ModelLimits()
    LIMITS.write(folder)
    assert load(folder, device="cpu").limits == LIMITS
    assert "low_confidence" not in json.loads((folder / LIMITS_FILE).read_text())


def test_a_change_keeps_what_others_wrote_meanwhile(tmp_path: Path) -> None:
    LIMITS.write(tmp_path)
    ModelLimits.change(tmp_path, low_confidence=0.9, calibration=((0.9, 0.5),))
    ModelLimits.change(tmp_path, trained_max_pages=5)
    wanted = dataclasses.replace(
        LIMITS, low_confidence=0.9, calibration=((0.9, 0.5),), trained_max_pages=5
    )
    assert ModelLimits.read(tmp_path) == wanted != LIMITS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no JSON object"),
        ('{"trained_max_page": 1}', "'trained_max_page'; known is trained_max_pages"),
        ('{"trained_max_pages": 1.5}', "1.5 for trained_max_pages"),
        ('{"trained_characters": 3}', "3 for trained_characters"),
        ('{"languages": "en"}', "'en' for languages"),
    ],
)
def test_a_wrong_file_names_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / LIMITS_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=f"{LIMITS_FILE}.*{words}"):
        ModelLimits.read(tmp_path)


def test_a_photo_is_told_from_print(vlm: VLM) -> None:
    photo = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False))
    limits = ModelLimits(trained_min_type_px=1)
    (warning,) = warnings(vlm, limits, photo)
    assert "looks like a photo" in warning
    assert "crop" in warning and "latentvlm doctor" in warning
    (warning,) = warnings(vlm, limits, photo, page(64, 128), photo)
    assert warning.startswith("2 pages look like a photo")
    assert warnings(vlm, ModelLimits(), photo) == []


@pytest.mark.parametrize("level", ["line", "lines", "small", "page"])
def test_no_drawn_document_looks_like_a_photo(level: str) -> None:
    for seed in range(6):
        for noise in (0.0, 1.0):
            drawn = generate(seed, GeneratorConfig(level=level, noise=noise)).image
            assert not looks_like_photo(Image.fromarray(drawn)), (seed, noise)


def test_a_question_in_another_script(vlm: VLM) -> None:
    english = ModelLimits(languages=("en",))
    (warning,) = warnings(vlm, english, page(64, 128), question="Какая сумма?")
    assert "in Cyrillic letters" in warning and "its languages: en" in warning
    assert "ask in one of these" in warning and "latentvlm doctor" in warning
    (warning,) = warnings(vlm, english, page(64, 128), question="合計はいくら?")
    assert "Chinese and Hiragana" in warning
    assert warnings(vlm, english, page(64, 128), question="Où est 5 µm, nº 3?") == []
    assert warnings(vlm, ModelLimits(languages=("ru",)), question="Какая сумма?") == []
    assert warnings(vlm, ModelLimits(languages=("tlh",)), question="Какая сумма?") == []


def test_a_text_layer_in_another_script() -> None:
    blank = Image.new("RGB", (8, 8))
    pages = [Page(image=blank, source="a.pdf", number=2, of=3, text="Сумма 5")]
    (warning,) = text_layer_warnings(ModelLimits(languages=("en",)), pages)
    assert warning.startswith("Page 2 of a.pdf holds Cyrillic text")
    assert text_layer_warnings(ModelLimits(languages=("ru",)), pages) == []
