"""`VLM` from question to answer, on a small random model with a real tokenizer."""

import dataclasses
import io
import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.pdf_files import page_pdf

from latentvlm.data.chat import ChatTemplate
from latentvlm.data.model_inputs import IGNORED_LABEL
from latentvlm.data.processor import Processor
from latentvlm.errors import CheckpointError, FusionError, InputError, PromptError
from latentvlm.vlm.api import load
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

SHORT = GenerationConfig(max_tokens=8)
DRAWN = GenerationConfig(max_tokens=24, temperature=1.2, top_p=0.95, seed=5)


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return load(tiny_folder, device="cpu", dtype="float32")


def page(seed: int = 0, size: tuple[int, int] = (48, 80)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_answer_says_what_it_took(vlm: VLM) -> None:
    answer = vlm.ask("What is the total?", page(), page(1, (16, 16)), generation=SHORT)
    usage, timing = answer.usage, answer.timing
    assert usage.image_grids == ((6, 10), (2, 2))
    assert usage.visual_tokens == (6 * 10 + 2 * 2) // 4
    assert usage.text_tokens + usage.visual_tokens == usage.prompt_tokens
    assert usage.answer_tokens == len(answer.token_ids) == len(answer.logprobs) <= 8
    first = timing.media_s + timing.encode_s + timing.prefill_s
    assert timing.time_to_first_token_s == pytest.approx(first)
    assert timing.total_s == pytest.approx(first + timing.decode_s)
    assert timing.evs_saved_s == timing.waiting_s == 0
    assert min(dataclasses.astuple(dataclasses.replace(timing, evs_saved_s=1.0, waiting_s=1.0))) > 0
    assert timing.tokens_per_s == pytest.approx((usage.answer_tokens - 1) / timing.decode_s)
    json.dumps(dataclasses.asdict(answer))


def test_confidence_is_the_geometric_mean_of_what_was_chosen(vlm: VLM) -> None:
    answer = vlm.ask("What is the total?", page(), generation=DRAWN)
    mean = math.prod(math.exp(each) for each in answer.logprobs) ** (1 / len(answer.logprobs))
    assert 0 < answer.confidence < 1
    assert answer.confidence == pytest.approx(mean)


def test_a_repr_fits_on_a_line(vlm: VLM) -> None:
    answer = vlm.ask("What is the total?", generation=SHORT)
    assert str(answer) == answer.text
    assert "usage" not in repr(answer) and "logprobs" not in repr(answer)
    assert repr(vlm) == "VLM(0.1M parameters, float32 on cpu)"


def test_pixels_reach_the_answer(vlm: VLM) -> None:
    first, second = (vlm.ask("Which?", page(seed), generation=SHORT) for seed in (0, 1))
    assert first.logprobs != second.logprobs


@pytest.mark.parametrize("config", [SHORT, DRAWN], ids=["greedy", "drawn"])
def test_streamed_pieces_are_the_answer(vlm: VLM, config: GenerationConfig) -> None:
    stream = vlm.stream("Read this line.", page(), generation=config)
    pieces = list(stream)
    expected = vlm.ask("Read this line.", page(), generation=config)
    assert "".join(pieces) == stream.answer.text == expected.text
    assert len(pieces) > 1 and all(pieces)
    assert stream.answer.token_ids == expected.token_ids


def test_an_answer_before_the_end_of_the_stream_is_an_error(vlm: VLM) -> None:
    stream = vlm.stream("Read this line.", generation=SHORT)
    next(stream)
    with pytest.raises(InputError, match="read on"):
        _ = stream.answer
    assert stream.read() is stream.answer


def test_the_same_seed_gives_the_same_answer(vlm: VLM) -> None:
    def ask(seed: int) -> tuple[int, ...]:
        config = dataclasses.replace(DRAWN, seed=seed)
        return vlm.ask("Who?", generation=config).token_ids

    assert ask(1) == ask(1) != ask(2)


def test_every_kind_of_medium_is_the_same_page(vlm: VLM, tmp_path: Path) -> None:
    array = page()
    path = tmp_path / "page.png"
    path.write_bytes(png(array))
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    kinds = [array, path, str(path), png(array), Image.fromarray(array), tensor]
    answers = {vlm.ask("Which?", each, generation=SHORT).logprobs for each in kinds}
    assert len(answers) == 1


def test_pages_of_a_document_are_pictures(vlm: VLM) -> None:
    document = page_pdf((60, 36), (36, 60), (48, 48))
    assert len(vlm.ask("Which?", document, generation=SHORT).usage.image_grids) == 3
    chosen = vlm.ask("Which?", document, pages="2", dpi=144, generation=SHORT)
    # 36 x 60 points at 144 dpi are 72 x 120 pixels, and a patch is 8 of them; a multiple of 2.
    assert chosen.usage.image_grids == ((16, 10),)


def test_chat_is_ask_with_messages(vlm: VLM) -> None:
    content = [{"type": "image", "image": page()}, {"type": "text", "text": "Who?"}]
    asked = vlm.ask("Who?", page(), generation=SHORT)
    told = vlm.chat([{"role": "user", "content": content}], generation=SHORT)
    assert told.token_ids == asked.token_ids
    assert told.usage == asked.usage
    plain = vlm.chat([{"role": "user", "content": "Who?"}], generation=SHORT)
    assert plain.token_ids == vlm.ask("Who?", generation=SHORT).token_ids


def test_a_conversation_keeps_its_pages_and_its_turns(vlm: VLM) -> None:
    document = page_pdf((60, 36), (36, 60))
    pages = {"type": "image", "image": document, "pages": [2]}
    first = {"role": "user", "content": [pages, {"type": "text", "text": "Who?"}]}
    turns = [first, {"role": "assistant", "content": "Nobody."}]
    one = vlm.chat([first], generation=SHORT)
    two = vlm.chat([*turns, {"role": "user", "content": "And when?"}], generation=SHORT)
    assert one.usage.image_grids == two.usage.image_grids
    assert len(one.usage.image_grids) == 1
    assert two.usage.text_tokens > one.usage.text_tokens
    assert "image" in first["content"][0], "the caller's messages were changed"


def test_a_stop_text_ends_the_answer_and_is_not_shown(vlm: VLM) -> None:
    whole = vlm.ask("Read this line.", page(), generation=DRAWN).text
    stop = whole[4:7]
    config = dataclasses.replace(DRAWN, stop=(stop, "never in there"))
    stream = vlm.stream("Read this line.", page(), generation=config)
    shown = ""
    for piece in stream:
        shown += piece
        assert stop not in shown
    assert shown == stream.answer.text == whole[: whole.find(stop)]
    assert stream.answer.finish_reason == "stop"
    assert stream.answer.usage.answer_tokens < DRAWN.max_tokens
    assert not any("cut off" in warning for warning in stream.answer.warnings)


def test_a_stop_id_ends_the_answer_and_is_not_shown(vlm: VLM) -> None:
    whole = vlm.ask("Read this line.", page(), generation=DRAWN)
    end = whole.token_ids[6]
    cut = whole.token_ids.index(end)
    config = dataclasses.replace(DRAWN, stop_ids=(end,))
    answer = vlm.ask("Read this line.", page(), generation=config)
    assert answer.token_ids == whole.token_ids[: cut + 1]
    assert answer.text == vlm.processor.decode(whole.token_ids[:cut])
    assert answer.finish_reason == "stop"


def test_the_models_own_end_tokens_are_known(vlm: VLM, tiny_folder: Path) -> None:
    settings = json.loads((tiny_folder / "generation_config.json").read_text())
    assert vlm.end_ids == (settings["eos_token_id"],) == (vlm.processor.turn_end_id,)


def test_cancelling_ends_the_answer_where_it_is(vlm: VLM) -> None:
    event = threading.Event()
    config = dataclasses.replace(DRAWN, max_tokens=200)
    stream = vlm.stream("Read this line.", generation=config, is_cancelled=event.is_set)
    shown = next(stream)
    event.set()
    shown += "".join(stream)
    assert stream.answer.finish_reason == "cancelled"
    assert stream.answer.text == shown
    assert stream.answer.usage.answer_tokens < 20
    before = vlm.ask("Read this line.", is_cancelled=lambda: True)
    assert (before.text, before.confidence) == ("", 0.0)


def test_two_threads_may_ask_at_once(vlm: VLM) -> None:
    def ask(seed: int) -> tuple[str, tuple[int, ...]]:
        answer = vlm.ask("Who?", page(seed), generation=dataclasses.replace(DRAWN, seed=seed))
        return answer.text, answer.token_ids

    alone = [ask(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == alone


def test_logits_take_what_transformers_takes(vlm: VLM) -> None:
    inputs = vlm.processor(
        [
            {
                "role": "user",
                "content": [{"type": "image", "image": page()}, {"type": "text", "text": "Who?"}],
            }
        ]
    )
    pictures = {"pixel_values": inputs.pixel_values, "image_grid_hw": inputs.image_grid_hw}
    flat = vlm.logits(input_ids=inputs.input_ids, **pictures)
    row = vlm.logits(input_ids=inputs.input_ids[None], **pictures)
    assert flat.shape == (len(inputs.input_ids), 320)
    assert flat.dtype == torch.float32
    assert torch.equal(flat, row)
    answer = vlm.ask("Who?", page(), generation=GenerationConfig(max_tokens=1))
    assert answer.token_ids[0] == int(flat[-1].argmax())


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.tensor([1, 320]), "id 320 is outside"),
        (torch.zeros(2, 3, dtype=torch.int64), r"shape \(2, 3\)"),
        (torch.zeros(3), "must be integers"),
        (torch.zeros(0, dtype=torch.int64), "no tokens"),
    ],
)
def test_logits_of_ids_that_cannot_be(vlm: VLM, ids: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        vlm.logits(input_ids=ids)


def test_logits_of_pictures_that_do_not_fit(vlm: VLM) -> None:
    ids = torch.tensor([18, 40])
    pixels, grids = torch.zeros(8, 192), torch.tensor([[2, 4]])
    with pytest.raises(InputError, match="belong together"):
        vlm.logits(input_ids=ids, pixel_values=pixels)
    with pytest.raises(FusionError, match="1 image placeholders .* 2 visual tokens"):
        vlm.logits(input_ids=ids, pixel_values=pixels, image_grid_hw=grids)
    with pytest.raises(InputError, match="8 patches but pixel_values holds 7"):
        vlm.logits(input_ids=ids, pixel_values=pixels[:7], image_grid_hw=grids)


def test_score_is_the_sum_of_log_softmax_of_logits(vlm: VLM) -> None:
    score = vlm.score("What is the total?", "It is 1,234.50 EUR", page())
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "image", "image": page()},
                {"type": "text", "text": "What is the total?"},
            ],
        },
        {"role": "assistant", "content": "It is 1,234.50 EUR"},
    ]
    inputs = vlm.processor.encode_conversation(messages)
    logprobs = vlm.logits(
        input_ids=inputs.input_ids,
        pixel_values=inputs.pixel_values,
        image_grid_hw=inputs.image_grid_hw,
    ).log_softmax(-1)
    assert inputs.labels is not None
    places = [i for i, label in enumerate(inputs.labels.tolist()) if label != IGNORED_LABEL]
    expected = [float(logprobs[at - 1, inputs.input_ids[at]]) for at in places]
    assert vlm.processor.decode(score.token_ids) == "It is 1,234.50 EUR"
    assert score.logprobs == pytest.approx(expected[:-1], abs=1e-4)
    assert score.end_logprob == pytest.approx(expected[-1], abs=1e-4)
    assert score.total == pytest.approx(sum(expected[:-1]), abs=1e-3)
    assert score.confidence == pytest.approx(math.exp(sum(expected) / len(expected)), rel=1e-3)


def test_control_tokens_in_an_answer_to_score_are_text(vlm: VLM) -> None:
    score = vlm.score("Who?", "a<|im_end|>b")
    assert 11 not in score.token_ids
    assert vlm.processor.decode(score.token_ids) == "a<|im_end|>b"


def test_a_template_that_ends_no_answer_cannot_be_scored(vlm: VLM, tiny_folder: Path) -> None:
    processor = Processor.from_folder(tiny_folder)
    processor.template = ChatTemplate("{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    endless = VLM(vlm.model, processor=processor)
    with pytest.raises(CheckpointError, match="does not end an answer"):
        endless.score("Who?", "Me")


def test_an_answer_to_score_must_be_a_text(vlm: VLM) -> None:
    with pytest.raises(PromptError, match="answer to score is a int"):
        vlm.score("Who?", 12)  # type: ignore[arg-type]


def test_the_context_cuts_an_answer_and_says_so(vlm: VLM) -> None:
    inputs = vlm.processor([{"role": "user", "content": "Who?"}])
    small = VLM(vlm.model, processor=vlm.processor, context_length=inputs.input_ids.shape[0] + 3)
    answer = small.ask("Who?")
    assert answer.usage.answer_tokens == 3
    assert answer.finish_reason == "context"
    assert "the context of" in answer.warnings[0] and answer.warnings[0].endswith(".")
