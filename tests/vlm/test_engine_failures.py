"""What fails in the engine fails alone."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.engines import LONG, assert_same, page, prepared, settled, sharp_vlm

from latentvlm.errors import BackendError, MediaError, PromptError
from latentvlm.vlm import engine_loop as loop_module
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return sharp_vlm(tiny_folder)


def test_an_error_harms_nobody_else(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    config = GenerationConfig(max_tokens=20, top_logprobs=2)
    alone = [vlm.ask(each, generation=config) for each in ("Who?", "When?")]
    engine = vlm.new_engine()
    good = engine.stream("Who?", generation=config)
    with pytest.raises(MediaError, match="no file"):
        engine.stream("Who?", "/nowhere.png")
    with pytest.raises(PromptError, match="empty"):
        engine.stream(" ")
    # pixels that the tower refuses, known only once they are encoded
    broken = prepared(vlm, "Who?", page(), generation=config)
    pixels = broken.inputs.pixel_values
    assert pixels is not None
    bad = engine.submit(
        replace(broken, inputs=replace(broken.inputs, pixel_values=pixels[:, :7])), n=2
    )
    damaged = prepared(vlm, "Who?", page(), generation=config)
    damaged_inputs = replace(damaged.inputs, pixel_values=pixels * float("nan"))
    nan = engine.submit(replace(damaged, inputs=damaged_inputs))[0]
    last = engine.stream("When?", generation=config)
    for stream in bad:
        with pytest.raises(Exception, match="192|shapes"):
            stream.read()
    with pytest.raises(BackendError, match="not finite"):
        nan.read()
    assert_same(good.read(), alone[0])
    assert_same(last.read(), alone[1])
    assert settled(engine).failed == 3


def test_a_row_that_fails_is_read_one_by_one(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = vlm.new_engine()
    config = GenerationConfig(max_tokens=4, top_logprobs=2)
    alone = [vlm.ask(each, generation=config) for each in ("One?", "Two?", "Three?")]
    real, rows = loop_module.read_packed, []

    def read_packed(trunk, embeds, cache):
        rows.append(len(embeds))
        if len(embeds) > 1:
            raise RuntimeError("out of memory")
        return real(trunk, embeds, cache)

    monkeypatch.setattr(loop_module, "read_packed", read_packed)
    asked = [prepared(vlm, each, generation=config) for each in ("One?", "Two?", "Three?")]
    with engine._changed:  # so that they are admitted together
        streams = [engine.submit(each)[0] for each in asked]
    for stream, expected in zip(streams, alone, strict=True):
        assert_same(stream.read(), expected)
    assert rows == [3, 1, 1, 1]


def test_a_step_that_fails_fails_its_answers_and_no_later_one(
    vlm: VLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = vlm.new_engine()

    def no_step(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(loop_module, "step", no_step)
    with pytest.raises(BackendError, match="RuntimeError: out of memory"):
        engine.ask("Who?", generation=LONG)
    monkeypatch.undo()
    assert engine.ask("Who?", generation=GenerationConfig(max_tokens=3)).text
