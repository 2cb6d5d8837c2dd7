"""Models spread over devices: the plan, and the same answers as on one device."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from support.second_device import SECOND, SecondDevice
from support.tiny_model import tiny_config, write_tiny_model

from latentvlm.data.model_inputs import ModelInputs
from latentvlm.errors import BackendError, ConfigError
from latentvlm.vlm import api, budgets
from latentvlm.vlm.budgets import read_budgets
from latentvlm.vlm.cache import AttentionCache, MambaCache
from latentvlm.vlm.census.gpus import GIB
from latentvlm.vlm.census.tensors import config_tensors
from latentvlm.vlm.checkpoint import load_model
from latentvlm.vlm.generate import generate_batch
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.model_parts import Part, model_parts
from latentvlm.vlm.placement import Placement, place_parts
from latentvlm.vlm.presets import preset
from latentvlm.vlm.prompt import language_model
from latentvlm.vlm.sampling import GenerationConfig

CPU, FIRST_GPU, SECOND_GPU = (torch.device(name) for name in ("cpu", "cuda:0", "cuda:1"))
SHORT = GenerationConfig(max_tokens=6, repetition_penalty=1.1)


@pytest.fixture(scope="module")
def nano() -> list[Part]:
    config = preset("nemotron-3-nano-30b-a3b")
    return model_parts(config, config_tensors(config))


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> SecondDevice:
    monkeypatch.setattr(budgets, "choose_device", torch.device)
    return SecondDevice()


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)


def layers_of(placement: Placement) -> list[list[int]]:
    return [[p.layer for p in s.parts if p.layer is not None] for s in placement.shares]


def test_a_gpu_is_filled_and_the_rest_lies_on_the_cpu(nano: list[Part]) -> None:
    placement = place_parts(nano, {FIRST_GPU: 24 * GIB, CPU: 64 * GIB})
    on_gpu, on_cpu = layers_of(placement)
    assert on_gpu + on_cpu == list(range(52))
    gpu, cpu = placement.shares
    # not one layer more, and nothing lost: 31.58 billion numbers of two bytes, and a cache
    next_layer = nano[1 + len(on_gpu)]
    assert gpu.num_bytes <= 24 * GIB < gpu.num_bytes + next_layer.num_bytes
    caches = gpu.num_bytes + cpu.num_bytes - 2 * 31_577_940_288
    # 6 attention layers, 2 heads of 128, keys and values in BF16; 23 float32 states
    kv, states = 6 * 2 * 2 * 128 * 8192 * 2, 23 * 64 * 64 * 128 * 4
    assert kv + states < caches < kv + states + 2**21
    first, last, room = str(placement).splitlines()
    assert room == "with room for the cache of 8192 tokens"
    assert first.startswith(f"cuda:0: embeddings, layers 0-{len(on_gpu) - 1}; 23.")
    assert first.endswith(" of 24.00 GiB")
    assert last.startswith(f"cpu: layers {len(on_gpu)}-51, final norm and head; ")
    assert placement.device_of("embeddings.weight") == FIRST_GPU
    assert placement.device_of("layers.51.norm.weight") == placement.device_of("norm_f.weight")


def test_equal_gpus_share_what_is_too_large_for_one(nano: list[Part]) -> None:
    shares = place_parts(nano, {FIRST_GPU: 40 * GIB, SECOND_GPU: 40 * GIB, CPU: GIB}).shares
    largest = max(part.num_bytes for part in nano)
    assert abs(shares[0].num_bytes - shares[1].num_bytes) <= 2 * largest
    assert not shares[2].parts
    alone = place_parts(nano, {FIRST_GPU: 80 * GIB, SECOND_GPU: 80 * GIB})
    assert alone.devices == [FIRST_GPU]
    assert "cuda:1: nothing; 0.00 of 80.00 GiB\n" in str(alone)


def test_too_little_memory_names_what_is_missing(nano: list[Part]) -> None:
    enough = sum(part.num_bytes for part in nano) - 40 * GIB
    with pytest.raises(BackendError, match="layers are placed whole") as caught:
        place_parts(nano, {CPU: 40 * GIB, FIRST_GPU: enough - 3 * GIB})
    found = re.search(r"so (\d\.\d\d) GiB are missing", str(caught.value))
    largest = max(part.num_bytes for part in nano) / GIB
    assert found is not None
    assert 3 <= float(found[1]) < 3.01 + largest


def test_longer_contexts_and_fewer_bits_change_the_plan() -> None:
    config = preset("tiny")
    tensors = config_tensors(config)

    def total(**how) -> int:
        return sum(part.num_bytes for part in model_parts(config, tensors, **how))

    base = total(context=1000)
    kv = total(context=2000) - base
    fp8 = total(context=2000, kv_cache="fp8") - total(context=1000, kv_cache="fp8")
    assert kv > 0
    assert fp8 == kv // 2
    assert total(context=1000, dtype=torch.float32) > 1.8 * base


def test_a_map_in_words_and_what_is_no_map() -> None:
    sizes = read_budgets({"cpu": "1.5GiB"})
    assert sizes == read_budgets("cpu=1.5GiB") == {CPU: 3 * 2**29}
    assert read_budgets({"cpu": 7}) == {CPU: 7}
    assert read_budgets({"cpu": "2 GB"}) == {CPU: 2 * 10**9}
    assert list(read_budgets("auto"))[-1] == CPU
    assert read_budgets("auto")[CPU] > 0
    for wrong in ("cpu", {"cpu": "much"}, {}, {"cpu": -1}, {"tpu": "1GiB"}, 3):
        with pytest.raises(ConfigError):
            read_budgets(wrong)  # type: ignore[arg-type]


def test_one_device_of_a_map_is_as_without_it(tiny_folder: Path) -> None:
    vlm = api.load(tiny_folder, device_map={"cpu": "1GiB"})
    assert not language_model(vlm.model).is_spread
    assert str(vlm.placement).startswith("cpu: embeddings, tower and projector, layers 0-")
    assert (
        vlm.ask("Who?", generation=SHORT).text
        == api.load(tiny_folder, device="cpu").ask("Who?", generation=SHORT).text
    )
    with pytest.raises(ConfigError, match="not both"):
        api.load(tiny_folder, device="cpu", device_map="auto")
    with pytest.raises(BackendError, match="missing"):
        api.load(tiny_folder, device_map={"cpu": "10KiB"})


def test_room_is_kept_for_as_long_a_context_as_one_says(tiny_folder: Path) -> None:
    seen: list[Placement] = []
    for context in (None, 1000, 2000):
        api.load(tiny_folder, device_map="cpu=1GiB", context=context, on_placement=seen.append)
    usual, short, long = (each.shares[0].num_bytes for each in seen)
    assert [each.context for each in seen] == [8192, 1000, 2000]
    assert usual - long == pytest.approx((long - short) * 6.192)
    with pytest.raises(ConfigError, match="context is 0; it must be a number of tokens"):
        api.load(tiny_folder, device_map="cpu=1GiB", context=0)
    with pytest.raises(BackendError, match="with a cache for 100000000 tokens"):
        api.load(tiny_folder, device_map="cpu=1GiB", context=10**8)


def spread_map(folder: Path, first: str, second: str) -> dict[str, int]:
    """Half of the model on each."""
    placement = api.load(folder, device_map={"cpu": "1GiB"}).placement
    assert placement is not None
    return {first: int(0.6 * placement.shares[0].num_bytes), second: GIB}


@pytest.mark.parametrize("order", [("cpu", "meta"), ("meta", "cpu")])
def test_a_spread_model_answers_as_the_whole_one(
    tiny_folder: Path, second: SecondDevice, order: tuple[str, str]
) -> None:
    whole = api.load(tiny_folder, device="cpu")
    ids = torch.randint(32, 200, (40,), generator=torch.Generator().manual_seed(0))
    prompts = [ModelInputs(input_ids=ids[:25]), ModelInputs(input_ids=ids[25:])]
    device_map = spread_map(tiny_folder, *order)
    # all of it without autograd: it takes no views of such tensors from before
    with torch.inference_mode(), second:
        vlm = api.load(tiny_folder, device_map=device_map)
        assert vlm.placement is not None
        assert [str(device) for device in vlm.placement.devices] == list(order)
        trunk = language_model(vlm.model)
        for name, tensor in vlm.model.state_dict().items():
            assert tensor.device == vlm.placement.device_of(name), name
        cache = trunk.allocate_cache()
        for layer, kept in zip(trunk.layers, cache.layers, strict=True):
            if isinstance(kept, AttentionCache):
                assert kept.keys.device == kept.values.device == layer.device
            elif isinstance(kept, MambaCache):
                assert kept.conv_rows.device == kept.state.device == layer.device
        assert repr(vlm).endswith(f"on {' and '.join(order)})")

        logits = vlm.logits(input_ids=ids)
        assert logits.device == torch.device(order[1])
        found = logits.cpu()
        answer = vlm.ask("What is the total?", picture(), generation=SHORT)
        batch = generate_batch(vlm.model, prompts, SHORT)
        score = vlm.score("Who?", "It is 12.", picture())
    # the step of one device rounds otherwise, so the last digits may differ
    torch.testing.assert_close(found, whole.logits(input_ids=ids), rtol=1e-5, atol=1e-5)
    wanted = whole.ask("What is the total?", picture(), generation=SHORT)
    assert answer.token_ids == wanted.token_ids
    assert [[c.id for c in each] for each in batch] == [
        [c.id for c in each] for each in generate_batch(whole.model, prompts, SHORT)
    ]
    assert score.logprobs == pytest.approx(whole.score("Who?", "It is 12.", picture()).logprobs)


def test_activations_cross_each_border_once(tiny_folder: Path, second: SecondDevice) -> None:
    with second, torch.inference_mode():
        # the second and the fourth layer apart: four borders
        apart = ("layers.1.", "layers.3.")
        model = load_model(
            tiny_folder,
            device=lambda name: SECOND if any(each in name for each in apart) else CPU,
            dtype=torch.float32,
            for_decoding=True,
        )
        trunk = language_model(model)
        size = trunk.config.hidden_size
        cache = trunk.allocate_cache()
        embeds = trunk.embed(torch.arange(40, 57))
        second.moves.clear()
        trunk(embeds, cache=cache)
        # and the boundaries of the row, once
        assert sorted(second.moves) == [(2,)] + [(17, size)] * 4
        for _ in range(3):
            second.moves.clear()
            trunk(trunk.embed(torch.tensor([9])), cache=cache)
            moved = [shape for shape in second.moves if shape == (1, size)]
            assert len(moved) == 4
        assert len(second.moves) == 4  # the boundaries of a step are there since the first


def test_draft_head_and_tied_head_follow(tmp_path: Path, second: SecondDevice) -> None:
    config = tiny_config(tie_word_embeddings=True)
    write_tiny_model(tmp_path, config=config, seed=3)
    ids = torch.arange(40, 60)
    whole = api.load(tmp_path, device="cpu")
    device_map = spread_map(tmp_path, "cpu", "meta")

    def drafted(vlm: api.VLM) -> torch.Tensor:
        trunk = language_model(vlm.model)
        embeds = trunk.embed(ids)
        hidden = trunk.mtp_hidden(trunk(embeds)[:-1], embeds[1:])
        return trunk.logits(hidden)

    with torch.inference_mode():
        wanted = drafted(whole)
        with second:
            vlm = api.load(tmp_path, device_map=device_map)
            trunk = language_model(vlm.model)
            assert trunk.mtp is not None
            assert trunk.lm_head.weight is trunk.embeddings.weight
            assert trunk.head_device == CPU
            assert next(trunk.mtp.parameters()).device == SECOND
            found = drafted(vlm)
            assert found.device == CPU
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
def test_a_gpu_and_the_cpu_together(tiny_folder: Path) -> None:
    whole = api.load(tiny_folder, device="cpu")
    ids = torch.arange(40, 80)
    vlm = api.load(tiny_folder, device_map=spread_map(tiny_folder, "cuda:0", "cpu"))
    assert isinstance(vlm.model, VisionLanguageModel | LanguageModel)
    assert vlm.placement is not None
    assert vlm.placement.devices == [FIRST_GPU, CPU]
    wanted = whole.logits(input_ids=ids)
    found = vlm.logits(input_ids=ids).cpu()
    assert (found - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    answer = vlm.ask("What is the total?", picture(), generation=SHORT)
    assert answer.usage.answer_tokens <= 6
