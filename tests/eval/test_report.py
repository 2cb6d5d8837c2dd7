"""The report and the comparison, as text, and opened in a real browser."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.benchmark_files import pdf, picture, put
from support.browser import opened
from support.responders import FakeResponder

import latentvlm
from latentvlm.errors import DataError
from latentvlm.eval.benchmarks import BENCHMARKS, load_benchmark
from latentvlm.eval.compare import compare
from latentvlm.eval.drawn import load_videos
from latentvlm.eval.evaluate import evaluate
from latentvlm.eval.manifest import make_manifest, read_manifest
from latentvlm.eval.report.compare_report import write_comparison
from latentvlm.eval.responder import VLMResponder
from latentvlm.eval.runner import Share
from latentvlm.eval.samples import Request, Response
from latentvlm.eval.totals import Scored, difference, estimate

COUNT = 16


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = ["file,question,answer,kind"]
    for idx in range(COUNT):
        name = "two.pdf" if idx == 3 else f"{idx // 2}.png"
        rows.append(f"{name},Is {idx} <b>&amp;</b> even?,{('yes', 'no')[idx % 2]},kind {idx % 2}")
        put(folder / f"{idx // 2}.png", picture(idx // 2))
    pdf(folder / "two.pdf")
    put(folder / "questions.csv", "\n".join([*rows, "gone.png,What?,x,"]) + "\n")
    return folder


def run(data: Path, out: Path, answer: Callable[[Request], str | Response], name: str) -> dict:
    loaded = load_benchmark(BENCHMARKS["folder"], data)
    manifest = make_manifest(loaded, model={"name": name}, decoding={}, shown={})
    result = evaluate(loaded, FakeResponder(answer, name), out, manifest, share=Share())
    assert result is not None
    return result


def yes(request: Request) -> str | Response:
    """Right for half of the questions, those of one kind."""
    if request.id == "6":
        return Response(id="6", text="", confidence=0.3)
    looked = [{"index": 1, "number": 2, "confidence": 0.83}]
    return Response(id=request.id, text="Yes", seconds=0.5, details={"looked_at": looked})


def right(request: Request) -> str:
    number = int(request.id) - 1
    return "maybe" if number == 0 else ("yes", "no")[number % 2]


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    run(data, folder / "a", yes, "says <yes>")
    run(data, folder / "b", right, "knows")
    return folder / "a", folder / "b"


def test_the_report_tells_score_counts_and_examples(runs: tuple[Path, Path]) -> None:
    text = (runs[0] / "report.html").read_text(encoding="utf-8")
    assert "50.0<small>%" in text and "kind 1" in text and "says &lt;yes&gt;" in text
    assert "Is 0 &lt;b&gt;&amp;amp;&lt;/b&gt; even?" in text
    assert "<b>&amp;</b>" not in text and "http" not in re.sub(r"data:image/[^\"]*", "", text)
    assert text.count('class="card example"') == COUNT
    assert "page 2 (83%)" in text and "there is no gone.png" in text
    # The questions about the PDF show both pages.
    assert text.count("<figcaption>page 2</figcaption>") == 1
    markdown = (runs[0] / "report.md").read_text(encoding="utf-8")
    assert "**50.0%** (95% interval" in markdown and "1 were empty" in markdown
    assert "| questions.csv row 17 | there is no gone.png" in markdown


def test_two_runs_are_compared_question_by_question(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    comparison = compare(*runs)
    result = comparison.result
    assert result["difference"]["score"] == pytest.approx(7 / 16, abs=1e-6)
    assert result["difference"]["low"] > 0 and result["not_better_share"] < 0.05
    assert result["kinds"]["kind 0"]["score"] == pytest.approx(-1 / 8, abs=1e-6)
    assert result["lost"] == ["1"] and len(result["won"]) == 8
    text = write_comparison(comparison, tmp_path / "deep" / "page.html").read_text("utf-8")
    assert "+43.8<small> points" in text and "The second is better" in text
    assert text.count('class="card example"') == 9 and text.count("data:image/jpeg") >= 9
    back = compare(*reversed(runs)).result
    assert back["difference"]["score"] == -result["difference"]["score"]
    same = compare(runs[0], runs[0]).result
    assert same["difference"] == {"score": 0.0, "low": 0.0, "high": 0.0, "n": COUNT}


def test_frames_that_only_one_run_saw_are_shown_on_its_side(tmp_path: Path) -> None:
    frames = [Image.open(io.BytesIO(picture(idx))) for idx in range(6)]
    data = tmp_path / "data"
    put(data / "questions.csv", "file,question,answer\nclip.gif,What moves?,a dot\n")
    frames[0].save(data / "clip.gif", save_all=True, append_images=frames[1:], duration=500)

    def saw(*indices: int, text: str) -> Callable[[Request], Response]:
        seen = {"indices": list(indices), "timestamps": [idx / 2 for idx in indices]}
        return lambda each: Response(id=each.id, text=text, details={"frames": [seen]})

    run(data, tmp_path / "a", saw(0, 2, text="a dot"), "few")
    run(data, tmp_path / "b", saw(0, 2, 4, text="a line"), "more")
    run(data, tmp_path / "c", saw(0, 2, text="a line"), "as few")
    other = write_comparison(compare(tmp_path / "a", tmp_path / "b"), tmp_path / "page.html")
    text = other.read_text("utf-8")
    assert text.count("data:image/jpeg") == 5 and "Each saw frames of its own." in text
    alike = write_comparison(compare(tmp_path / "a", tmp_path / "c"), tmp_path / "page.html")
    text = alike.read_text("utf-8")
    assert text.count("data:image/jpeg") == 2 and "Each saw" not in text


def test_runs_that_cannot_be_compared_say_why(
    runs: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "data"
    put(other / "0.png", picture())
    put(other / "questions.csv", "file,question,answer\n0.png,Is 0 even?,no\n")
    run(other, tmp_path / "c", yes, "x")
    with pytest.raises(DataError, match="1 has another right answer"):
        compare(runs[0], tmp_path / "c")
    put(other / "questions.csv", "file,question,answer,id\n0.png,Is 0 even?,no,other\n")
    run(other, tmp_path / "d", yes, "x")
    with pytest.raises(DataError, match="no question in common"):
        compare(runs[0], tmp_path / "d")


def test_intervals_follow_the_groups() -> None:
    alone = [Scored(score=float(i % 2), kind="", group=str(i)) for i in range(100)]
    together = [Scored(score=float(i // 25 % 2), kind="", group=str(i // 25)) for i in range(100)]
    one, other = estimate(alone), estimate(together)
    assert one.score == other.score == 0.5
    # The mean of 100 coins has a deviation of 0.05; of 4, of 0.25.
    assert 0.15 < one.high - one.low < 0.25 and other.high - other.low > 0.5
    shifted = [
        Scored(score=min(1.0, each.score + 0.5), kind="", group=each.group) for each in alone
    ]
    gap, doubt = difference(alone, shifted)
    assert gap.score == 0.25 and gap.low > 0.15 and doubt == 0.0
    kinds = [
        Scored(score=1.0, kind="a", group="1"),
        *([Scored(score=0.0, kind="b", group="2")] * 9),
    ]
    assert (estimate(kinds).score, estimate(kinds, "macro").score) == (0.1, 0.5)
    assert estimate([]).n == 0


def test_one_document_says_nothing_of_others() -> None:
    one = [Scored(score=score, kind="", group="a") for score in (1.0, 1.0, 0.0)]
    found = estimate(one)
    assert (found.low, found.high) == (0.0, 1.0) and round(found.score, 3) == 0.667
    worse = [Scored(score=0.0, kind="", group="a") for _ in one]
    gap, _ = difference(worse, one)
    assert (gap.low, gap.high) == (-1.0, 1.0) and round(gap.score, 3) == 0.667


def test_drawn_videos_are_a_benchmark_of_their_own(tmp_path: Path) -> None:
    loaded = load_videos(3)
    again = load_videos(3)
    manifests = [
        make_manifest(each, model={"name": "x"}, decoding={}, shown={}) for each in (loaded, again)
    ]
    assert manifests[0]["id"] == manifests[1]["id"]
    golds = {question.id: question.gold.answers[0] for question in loaded.questions}
    responder = FakeResponder(lambda request: golds[request.id], "truth")
    result = evaluate(loaded, responder, tmp_path, manifests[0], share=Share())
    assert result is not None and result["score"] == 1.0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count("data:image/jpeg") >= 3 and "<figcaption>0.00 s</figcaption>" in text
    assert read_manifest(tmp_path)["benchmark"]["questions"] == 3


@pytest.fixture(scope="module")
def looked(data: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a real model, which knows where it looked."""
    out = tmp_path_factory.mktemp("looked")
    loaded = load_benchmark(BENCHMARKS["folder"], data, limit=4)
    responder = VLMResponder(latentvlm.load(tiny_folder, device="cpu"), name="tiny", max_tokens=4,
                             looks=True)  # fmt: skip
    manifest = make_manifest(loaded, model={"name": "tiny"}, decoding={}, shown={})
    assert evaluate(loaded, responder, out, manifest, share=Share())
    return out


def test_examples_show_where_the_model_looked(looked: Path) -> None:
    text = (looked / "report.html").read_text(encoding="utf-8")
    # Three questions show a picture, one a document of two pages.
    assert text.count('<img class="heat"') == 5 and "where it looked</button>" in text
    assert len(re.findall(r"<figcaption>page \d, \d+% of the attention", text)) == 2
    line = json.loads((looked / "responses-model.jsonl").read_text().splitlines()[0])
    (page,) = line["details"]["attention"]
    assert page["share"] == 1.0 and np.max(page["map"]) == 255


@pytest.mark.slow
def test_where_the_model_looked_lies_on_the_picture(looked: Path) -> None:
    with opened((looked / "report.html").as_uri()) as page:
        over = page.locator(".example .over").first
        below, heat = over.locator("img").nth(0), over.locator("img.heat")
        assert heat.bounding_box() == below.bounding_box()
        page.get_by_role("button", name="where it looked").click()
        assert not heat.is_visible() and below.is_visible()
        page.get_by_role("button", name="where it looked").click()
        over.click()
        large = page.locator("dialog[open] img")
        page.wait_for_function(
            "[...document.querySelectorAll('dialog img')].every(each => each.complete)"
        )
        assert large.nth(0).bounding_box() == large.nth(1).bounding_box()
        assert large.nth(0).bounding_box()["width"] > below.bounding_box()["width"]


@pytest.mark.slow
def test_the_report_works_in_a_browser(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with opened((runs[0] / "report.html").as_uri()) as page:
        assert page.locator(".example:visible").count() == COUNT
        page.get_by_role("button", name="wrong").click()
        assert page.locator(".example:visible").count() == 8
        page.locator("select").select_option("kind 0")
        assert page.locator(".example:visible").count() == 0
        assert page.locator("#none").is_visible()
        page.locator("select").select_option("kind 1")
        assert page.locator(".example:visible").count() == 8
        page.locator(".example:visible img").first.click()
        page.locator("dialog[open] img").wait_for()
        page.locator("dialog").click()
        page.locator("select").select_option("")
        for image in page.locator(".example:visible img").all():
            assert image.evaluate("each => each.decode().then(() => each.naturalWidth)") > 0
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 20
    with opened((runs[0] / "report.html").as_uri(), width=400, scheme="dark") as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
    path = write_comparison(compare(*runs), tmp_path / "page.html")
    with opened(path.as_uri()) as page:
        assert page.locator(".example:visible").count() == 9
        page.get_by_role("button", name="first only").click()
        assert page.locator(".example:visible").count() == 1
