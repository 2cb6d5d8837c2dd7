"""Generation from ids: equal to repeated full forwards, and it ends when it should."""

import threading
from dataclasses import replace

import pytest
import torch

from latentvlm.data.model_inputs import ModelInputs
from latentvlm.errors import FusionError, InputError, PromptError
from latentvlm.vlm import generate as generate_module
from latentvlm.vlm.generate import Generation, generate_batch
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import tiny
from latentvlm.vlm.sampling import GenerationConfig

IMAGE_ID = tiny().image_token_id


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    torch.manual_seed(0)
    model = VisionLanguageModel(tiny()).eval().requires_grad_(False)
    with torch.no_grad():
        # Logits of a trained model's spread, so that the best token is clearly the best.
        model.language_model.lm_head.weight.mul_(40)
        model.language_model.embeddings.weight.mul_(20)
    return model


def text(length: int, seed: int = 0) -> ModelInputs:
    generator = torch.Generator().manual_seed(seed)
    return ModelInputs(input_ids=torch.randint(32, 320, (length,), generator=generator))


def picture(seed: int = 0, grids: tuple[tuple[int, int], ...] = ((4, 6), (2, 2))) -> ModelInputs:
    """Two pictures between text."""
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = []
    for rows, cols in grids:
        ids += [40 + seed, *[IMAGE_ID] * (rows * cols // 4), 50]
    num_patches = sum(rows * cols for rows, cols in grids)
    return ModelInputs(
        input_ids=torch.tensor([*ids, 60, 61 + seed]),
        pixel_values=torch.randn(num_patches, 192, generator=generator),
        image_grid_hw=torch.tensor(grids),
        visual_tokens=num_patches // 4,
    )


@torch.inference_mode()
def by_full_forwards(model: VisionLanguageModel, inputs: ModelInputs, count: int) -> list[int]:
    ids = inputs.input_ids
    for _ in range(count):
        logits = model(ids, pixel_values=inputs.pixel_values, image_grid_hw=inputs.image_grid_hw)[
            -1
        ]
        best = logits.topk(2)
        assert best.values[0] - best.values[1] > 1e-3, "a tie: take another seed"
        ids = torch.cat([ids, best.indices[:1]])
    return ids[inputs.input_ids.shape[0] :].tolist()


def ids_of(generation: Generation) -> list[int]:
    return [choice.id for choice in generation]


@pytest.mark.parametrize("inputs", [text(1), text(40), picture()], ids=["one", "text", "pictures"])
def test_greedy_is_repeated_full_forwards(model: VisionLanguageModel, inputs: ModelInputs) -> None:
    generation = Generation(model, inputs, GenerationConfig(max_tokens=12))
    assert ids_of(generation) == by_full_forwards(model, inputs, 12)
    assert generation.finish_reason == "length"


@pytest.mark.parametrize("block", [1, 7, 16])
def test_a_prompt_in_blocks_is_the_whole_prompt(
    model: VisionLanguageModel, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = text(33, seed=1)
    whole = Generation(model, inputs, GenerationConfig(max_tokens=6))
    expected = list(whole)
    monkeypatch.setattr(generate_module, "PREFILL_BLOCK", block)
    found = list(Generation(model, inputs, GenerationConfig(max_tokens=6)))
    assert [each.id for each in found] == [each.id for each in expected]
    # Sums in another order: float32 rounding only.
    theirs = [each.logprob for each in expected]
    assert [each.logprob for each in found] == pytest.approx(theirs, abs=1e-3)


def test_log_probabilities_are_the_models(model: VisionLanguageModel) -> None:
    inputs = text(20, seed=2)
    choices = list(Generation(model, inputs, GenerationConfig(max_tokens=5)))
    ids = torch.tensor([choice.id for choice in choices])
    with torch.inference_mode():
        logits = model(torch.cat([inputs.input_ids, ids]))
    expected = logits[19:24].log_softmax(-1).gather(1, ids[:, None])[:, 0]
    assert [choice.logprob for choice in choices] == pytest.approx(expected.tolist(), abs=1e-3)


def test_batched_is_alone(model: VisionLanguageModel) -> None:
    prompts = [text(9, seed=3), picture(), text(1, seed=4), text(30, seed=5), picture(seed=1)]
    config = GenerationConfig(max_tokens=8)
    alone = []
    for each in prompts:
        generation = Generation(model, each, config)
        list(generation)
        alone.append([choice.id for choice in generation.choices])
    # Some answers end early, so that sequences leave the batch at different steps.
    ends = {alone[0][2], alone[3][5]}
    expected = []
    for each in prompts:
        generation = Generation(model, each, config, end_ids=ends)
        list(generation)
        expected.append([choice.id for choice in generation.choices])
    found = generate_batch(model, prompts, config, end_ids=ends)
    assert [[choice.id for choice in answer] for answer in found] == expected
    assert len({len(answer) for answer in found}) > 1, "nothing left the batch early"


def test_sampled_batches_draw_as_alone(model: VisionLanguageModel) -> None:
    prompts = [text(9, seed=3), text(12, seed=4)]
    config = GenerationConfig(max_tokens=6, temperature=1.0, top_p=0.9, seed=11)
    alone = [ids_of(Generation(model, each, config)) for each in prompts]
    found = generate_batch(model, prompts, config)
    assert [[choice.id for choice in answer] for answer in found] == alone


def test_no_prompts_make_no_answers(model: VisionLanguageModel) -> None:
    assert generate_batch(model, [], GenerationConfig()) == []


def test_an_end_token_ends_and_is_kept_but_not_shown(model: VisionLanguageModel) -> None:
    expected = by_full_forwards(model, text(10), 6)
    end = expected[3]
    cut = expected.index(end)
    for generation in (
        Generation(model, text(10), GenerationConfig(max_tokens=6), end_ids=(end,)),
        Generation(model, text(10), GenerationConfig(max_tokens=6, stop_ids=(end,))),
    ):
        assert ids_of(generation) == expected[:cut]
        assert [choice.id for choice in generation.choices] == expected[: cut + 1]
        assert generation.finish_reason == "stop"


def test_an_end_token_in_the_last_place_is_no_cut(model: VisionLanguageModel) -> None:
    end = by_full_forwards(model, text(10), 1)[0]
    generation = Generation(model, text(10), GenerationConfig(max_tokens=1), end_ids=(end,))
    assert ids_of(generation) == []
    assert generation.finish_reason == "stop"


def test_the_context_is_a_limit(model: VisionLanguageModel) -> None:
    generation = Generation(model, text(10), GenerationConfig(max_tokens=9), context_length=14)
    assert len(ids_of(generation)) == 4
    assert generation.finish_reason == "context"


@pytest.mark.parametrize("context", [5, 10])
def test_a_prompt_that_fills_the_context_names_both_numbers(
    model: VisionLanguageModel, context: int
) -> None:
    with pytest.raises(PromptError, match=rf"has 10 tokens .* fit into {context} "):
        Generation(model, text(10), GenerationConfig(), context_length=context)


def test_cancelling_stops_before_the_next_token(model: VisionLanguageModel) -> None:
    event = threading.Event()
    generation = Generation(
        model, text(10), GenerationConfig(max_tokens=50), is_cancelled=event.is_set
    )
    for count, _ in enumerate(generation, 1):
        if count == 3:
            event.set()
    assert len(generation.choices) == 3
    assert generation.finish_reason == "cancelled"


def test_cancelling_stops_while_the_prompt_is_read(
    model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate_module, "PREFILL_BLOCK", 4)
    asked: list[int] = []

    def is_cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    generation = Generation(model, text(40), GenerationConfig(), is_cancelled=is_cancelled)
    assert list(generation) == []
    assert generation.finish_reason == "cancelled"
    assert len(asked) < 6, "the rest of the prompt was read"


def test_the_callers_gradients_are_left_alone(model: VisionLanguageModel) -> None:
    tokens = iter(Generation(model, text(5), GenerationConfig(max_tokens=3)))
    next(tokens)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_caches_are_reserved_once(
    model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = Generation(model, text(20), GenerationConfig(max_tokens=10))
    sizes = set()
    for _ in generation:
        assert generation._cache is not None
        sizes.add(generation._cache.num_bytes)
    assert len(sizes) == 1


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (ModelInputs(input_ids=torch.tensor([], dtype=torch.int64)), PromptError, "no tokens"),
        (ModelInputs(input_ids=torch.tensor([320])), InputError, "id 320 .* 320 ids"),
        (ModelInputs(input_ids=torch.tensor([-1])), InputError, "id -1 "),
        (ModelInputs(input_ids=torch.tensor([0.5])), InputError, "must be integers"),
        (ModelInputs(input_ids=torch.tensor([[1, 2]])), InputError, r"shape \(1, 2\)"),
    ],
)
def test_ids_that_cannot_be_are_named(
    model: VisionLanguageModel, inputs: ModelInputs, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Generation(model, inputs, GenerationConfig())


def test_placeholders_without_pictures_say_so(model: VisionLanguageModel) -> None:
    inputs = ModelInputs(input_ids=torch.tensor([IMAGE_ID, 40]))
    with pytest.raises(FusionError, match="1 image placeholders .* 0 visual tokens"):
        list(Generation(model, inputs, GenerationConfig()))


def test_a_text_model_alone_generates_and_refuses_pictures() -> None:
    torch.manual_seed(1)
    trunk = LanguageModel(replace(tiny().text, num_nextn_predict_layers=0)).eval()
    assert len(ids_of(Generation(trunk, text(7), GenerationConfig(max_tokens=4)))) == 4
    with pytest.raises(InputError, match="reads text only"):
        Generation(trunk, picture(), GenerationConfig())
