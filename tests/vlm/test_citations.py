"""Where a model looks as it answers, and the page that this tells."""

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import latentvlm
from latentvlm.data.synthetic import draw_booklet
from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.eval.citations import CONFIG, Looked, calibrate, judge, look
from latentvlm.vlm import generate
from latentvlm.vlm.block import Block
from latentvlm.vlm.cache import AttentionCache
from latentvlm.vlm.citations import Citations, cite, page_shares
from latentvlm.vlm.config import Rotary
from latentvlm.vlm.generate import Generation
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.layers import attention
from latentvlm.vlm.layers.attention import AttentionMixer
from latentvlm.vlm.limits import ModelLimits
from latentvlm.vlm.packed_row import PackedRow
from latentvlm.vlm.presets import tiny
from latentvlm.vlm.prompt import embed_prompt
from latentvlm.vlm.sampling import GenerationConfig

GREEDY = GenerationConfig(max_tokens=6)


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> latentvlm.VLM:
    return latentvlm.load(tiny_folder)


def pages(*sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in sizes]


def generation(vlm: latentvlm.VLM, images: list[np.ndarray], **options) -> Generation:
    content: list[dict] = [{"type": "image", "image": image} for image in images]
    content.append({"type": "text", "text": "What?"})
    inputs = vlm.processor([{"role": "user", "content": content}])
    return Generation(vlm.model, inputs, GREEDY, end_ids=vlm.end_ids, **options)


@pytest.mark.parametrize("kv_cache", [None, "fp8"])
@pytest.mark.parametrize("rotary", [None, Rotary(dims=8, theta=1e4)])
def test_what_is_looked_at_makes_the_layers_output(rotary, kv_cache, monkeypatch) -> None:
    torch.manual_seed(1)
    model = LanguageModel(replace(tiny().text, rotary=rotary)).eval()
    model.use_kv_cache(kv_cache)
    place = model.config.hybrid_override_pattern.index("*")
    layer, entry = model.layers[place], model.allocate_cache(capacity=16).layers[place]
    assert isinstance(layer, Block) and isinstance(entry, AttentionCache)
    mixer = layer.mixer
    assert isinstance(mixer, AttentionMixer)
    x = torch.randn(9, model.config.hidden_size)
    with torch.inference_mode():
        for part in x.split([5, 4]):
            out = mixer(part, PackedRow.of(part, None), entry)
        sums = mixer.attention_sums(x[5:], entry)
        assert sums.shape[1:] == (9,)
        torch.testing.assert_close(sums.sum(-1), torch.full(sums.shape[:1], 4.0))
        # in blocks of any size, and of the last tokens alone
        for rows in (1, 3):
            monkeypatch.setattr(attention, "LOOK_NUMBERS", rows * sums.numel())
            torch.testing.assert_close(mixer.attention_sums(x[5:], entry), sums)
        parts = [mixer.attention_sums(x[5:], entry, first=n) for n in range(5)]
        weights = torch.stack([one - other for one, other in itertools.pairwise(parts)], dim=1)
        assert not parts[4].any() and weights.shape[1:] == (4, 9)
        values = entry._widen(entry.keys[0, :, :9], entry.values[0, :, :9], x.dtype)[1]
        values = values.repeat_interleave(weights.shape[0] // values.shape[0], dim=0)
        again = mixer.o_proj((weights @ values).transpose(0, 1).reshape(4, -1))
    torch.testing.assert_close(again, out, rtol=1e-4, atol=1e-5)


class Largest(TorchDispatchMode):
    """Sees the largest tensor that anything makes."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numbers = max(self.numbers, made.numel())
        return made


def test_looking_holds_a_few_rows_at_a_time(monkeypatch) -> None:
    """All rows of 96 tokens after 8192 would be 12.7 million numbers in one layer."""
    monkeypatch.setattr(attention, "LOOK_NUMBERS", 2**20)
    config = replace(tiny().text, num_attention_heads=16, num_key_value_heads=2, head_dim=8)
    mixer = AttentionMixer(config).eval()
    keys = torch.randn(1, 2, 8288, 8)
    entry = AttentionCache(keys, keys, [8288])
    x = torch.randn(96, config.hidden_size)
    with torch.inference_mode(), Largest() as seen:
        mixer.attention_sums(x, entry)
    assert 8288 * 8 <= seen.numbers <= 2**20


def test_looking_back_sees_what_one_pass_over_everything_sees(vlm, monkeypatch) -> None:
    images = pages((32, 48), (64, 32))
    plain = [choice.id for choice in generation(vlm, images)]
    looking = generation(vlm, images, can_look=True)
    assert [choice.id for choice in looking] == plain, "looking changes no answer"
    means = looking.look()
    assert means is not None
    chosen = [choice.id for choice in looking.choices]
    trunk = vlm.model.language_model
    with torch.inference_mode():
        prompt, _ = embed_prompt(vlm.model, looking.inputs)
        answer = trunk.embed(torch.tensor(chosen[:-1]))
        cache = trunk.allocate_cache(capacity=len(prompt) + len(answer))
        whole = torch.cat([prompt, answer])
        sums = trunk.look(whole, cache, first=len(prompt) - 1)
        cache = trunk.allocate_cache(capacity=len(whole))
        of_later = trunk.look(whole, cache, first=len(prompt) + 1)
    torch.testing.assert_close(means, sums / len(chosen), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(means.sum(-1), torch.ones(means.shape[:2]))
    monkeypatch.setattr(generate, "PREFILL_BLOCK", 2)  # the answer in blocks, too
    torch.testing.assert_close(looking.look(), means, rtol=1e-4, atol=1e-5)
    later = looking.look(first=2)
    assert later is not None
    torch.testing.assert_close(later, of_later / (len(chosen) - 2), rtol=1e-4, atol=1e-5)
    assert generation(vlm, images).look() is None


def test_shares_do_not_favour_large_pages() -> None:
    ids = torch.tensor([1, 9, 9, 2, 9, 9, 9, 9, 3])  # a page of two tokens, one of four
    means = torch.zeros(1, 2, 10)
    means[0, 0, [1, 2, 4, 5, 6, 7]] = 0.1  # even over all tokens: no page stands out
    means[0, 1, 5] = 0.8
    shares = page_shares(means, ids, 9, [2, 4])
    torch.testing.assert_close(shares[0], torch.tensor([[0.5, 0.5], [0.0, 1.0]]))


def test_a_page_is_cited_only_where_it_is_clear(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    for threshold, cited in ((0.0, 1), (1.0, 0)):
        ModelLimits(citations=Citations(heads=((0, 0),), threshold=threshold)).write(folder)
        vlm = latentvlm.load(folder)
        assert vlm.limits.citations == Citations(heads=((0, 0),), threshold=threshold)
        answer = vlm.ask("What?", *pages((32, 48), (64, 32)), generation=GREEDY)
        assert len(answer.pages) == cited
        assert vlm.ask("What?", *pages((32, 48)), generation=GREEDY).pages == ()
    assert latentvlm.load(tiny_folder).ask("What?", *pages((8, 8), (8, 8))).pages == ()
    (folder / "latentvlm.json").write_text('{"citations": {"heads": [[0]], "threshold": 1}}')
    with pytest.raises(CheckpointError, match="for citations, which cannot be"):
        latentvlm.load(folder)


def test_calibration_finds_the_head_that_follows_the_page() -> None:
    rng = torch.Generator().manual_seed(0)
    looked = []
    for number in range(60):
        page = number % 5
        shares = torch.rand(2, 3, 5, generator=rng)
        shares[1, 2] = torch.rand(5, generator=rng) * 0.3
        shares[1, 2, page] = 1.0
        shares /= shares.sum(-1, keepdim=True)
        looked.append(Looked(is_right=number % 3 > 0, page=page, shares_LHP=shares))
    how = calibrate(looked)
    assert how.heads == ((1, 2),)
    found = judge(looked, how)
    assert found["right_answers"]["page_first"] == 1.0 and found["right_answers"]["n"] == 40
    wrong = [Looked(is_right=False, page=0, shares_LHP=torch.ones(2, 3, 5))]
    with pytest.raises(ConfigError, match="None of the 1 questions"):
        calibrate(wrong)


def test_the_default_model_cites_the_page_it_reads() -> None:
    vlm = latentvlm.load()
    assert vlm.limits.citations is not None
    asked = right = cited = hits = 0
    for seed in range(9_000_000, 9_000_012):
        booklet = draw_booklet(seed, CONFIG, pages=5, max_questions=2)
        for each in booklet.questions:
            answer = vlm.ask(each.qa.question, *[page.image for page in booklet.pages])
            asked += 1
            if answer.text.strip() != each.qa.answer:
                continue
            right += 1
            cited += len(answer.pages)
            hits += bool(answer.pages) and answer.pages[0].index == each.page - 1
    assert right >= 5 and hits >= 0.8 * right and cited - hits <= 1, (asked, right, cited, hits)


def test_models_without_pages_or_attention_say_so(vlm) -> None:
    class Blind:
        model = LanguageModel(tiny().text)

    with pytest.raises(ConfigError, match="sees no pages"):
        next(look(Blind(), 1))  # type: ignore[arg-type]
    assert cite(generation(vlm, pages((8, 8))), 0, pages=[], image_id=0, how=None) == ()
