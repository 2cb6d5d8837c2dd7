"""Videos and budgets of visual tokens over HTTP."""

from collections.abc import Callable
from pathlib import Path

import openai
import pytest
from support.clips import write_clip
from support.openai_requests import create, data_url, image, page, png, user

from latentvlm.app.server.config import ServerConfig
from latentvlm.vlm.sampling import GenerationConfig

FOUR = GenerationConfig(max_tokens=4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", 24, fps=4)


def video(clip: Path) -> dict:
    return {"type": "video_url", "video_url": {"url": data_url(clip.read_bytes(), "video/mp4")}}


def test_a_video_is_asked_as_ask_does(server, clip: Path) -> None:
    found = create(server.client(), user("Who?", video(clip)), max_tokens=4)
    alone = server.vlm.ask("Who?", clip, generation=FOUR)
    assert found.choices[0].message.content == alone.text
    assert found.usage.prompt_tokens == alone.usage.prompt_tokens
    other = server.client().responses.create(
        model="latentvlm",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_video", "video_url": data_url(clip.read_bytes())},
                    {"type": "input_text", "text": "Who?"},
                ],
            }
        ],
        max_output_tokens=4,
        temperature=0,
    )
    assert other.output_text == alone.text


def test_frames_and_the_rate_of_evs_are_of_the_request(server, clip: Path) -> None:
    def visual(**more) -> tuple[int, int]:
        found = create(server.client(), user("Who?", video(clip)), extra_body=more)
        told = found.usage.prompt_tokens_details.model_dump()
        return told["visual_tokens"], told["visual_tokens_before"]

    all_of_8, before_8 = visual(frames=8)
    assert all_of_8 == before_8 and visual(frames=4)[0] == all_of_8 / 2
    pruned, before = visual(frames=8, evs_rate=0.5)
    assert before == before_8 and pruned == pytest.approx(before / 2, abs=2)


def test_a_budget_of_pages_is_of_the_request(server) -> None:
    pages = [image(png(page(seed))) for seed in range(3)]

    def usage(**more) -> tuple[int, list[str]]:
        found = create(server.client(), user("Who?", *pages), extra_body=more)
        told = found.usage.prompt_tokens_details.model_dump()
        return told["visual_tokens"], found.choices[0].model_dump()["latentvlm"]["warnings"]

    whole, _ = usage()
    fewer, warnings = usage(token_budget=whole // 2)
    assert fewer <= whole // 2 and any("visual tokens to fit" in each for each in warnings)


def test_videos_have_limits(serve: Callable, clip: Path) -> None:
    with serve(ServerConfig(max_frames=4)) as server:
        client = server.client()
        with pytest.raises(openai.BadRequestError, match="at most 4 are seen"):
            create(client, user("Who?", video(clip)), extra_body={"frames": 5})
        with pytest.raises(openai.BadRequestError, match="more than the 4 that are opened at once"):
            create(client, user("Who?", video(clip)))
        assert create(client, user("Who?", video(clip)), extra_body={"frames": 4}).choices
    for config, message in (
        (ServerConfig(max_video_s=5), "lasts 6 seconds, more than the 5 accepted"),
        (ServerConfig(max_pixels=6000), "of 96 x 64 pixels, more than the 6,000 accepted"),
    ):
        with serve(config) as server, pytest.raises(openai.BadRequestError, match=message):
            create(server.client(), user("Who?", video(clip)), extra_body={"frames": 2})
