"""The FP8 cache: bytes of x / scale by the checkpoint's scales, and only when asked for."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import quantized_folder as write
from support.tiny_model import random_model, tiny_config
from torch import Tensor

from latentvlm.errors import ConfigError
from latentvlm.vlm.cache import AttentionCache
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.language_model import LanguageModel

SCALES = {1: (0.01, 0.02), 3: (0.03, 0.005)}
NAMES = {
    "modelopt": ("k_proj.k_scale", "v_proj.v_scale"),
    "attention module": ("k_scale", "v_scale"),
    "vllm": ("attn.k_scale", "attn.v_scale"),
}
IDS = torch.randint(20, 300, (40,), generator=torch.Generator().manual_seed(5))


def write_folder(
    folder: Path, names: tuple[str, str] | None = NAMES["modelopt"], *, shape: tuple = ()
) -> None:
    config = tiny_config(hybrid_override_pattern="M*-*", num_nextn_predict_layers=0)
    save_model(random_model(config).language_model, folder)
    if names is None:
        return
    tensors = load_file(folder / "model.safetensors")
    for layer, scales in SCALES.items():
        for name, scale in zip(names, scales, strict=True):
            tensors[f"backbone.layers.{layer}.mixer.{name}"] = torch.full(shape, scale)
    save_file(tensors, folder / "model.safetensors")


def scales(model: object) -> dict[int, tuple[float, float]]:
    assert isinstance(model, LanguageModel)
    mixers = {idx: model.layers[idx].mixer for idx in SCALES}
    return {idx: (mixer.k_scale, mixer.v_scale) for idx, mixer in mixers.items()}


def logits(model: object, *lengths: int, steps: int = 5) -> list[Tensor]:
    """Of packed prompts in two blocks and of single tokens after them, by sequence.

    With gradients enabled, for single tokens then go through the modules, where hooks are.
    """
    assert isinstance(model, LanguageModel)
    model.requires_grad_(False)
    embeds = [model.embed(IDS[: length + steps]) for length in lengths]
    cache = model.allocate_cache(len(lengths), capacity=4)
    found: list[list[Tensor]] = [[] for _ in lengths]
    blocks = [[length // 2, length - length // 2] + [1] * steps for length in lengths]
    for turn in range(2 + steps):
        sizes = [block[turn] for block in blocks]
        starts = [sum(block[:turn]) for block in blocks]
        row = torch.cat([e[s : s + n] for e, s, n in zip(embeds, starts, sizes, strict=True)])
        bounds = torch.tensor([0, *sizes]).cumsum(0).to(torch.int32)
        with torch.enable_grad():
            parts = model.logits(model(row, cu_seqlens=bounds, cache=cache)).split(sizes)
        for sequence, part in zip(found, parts, strict=True):
            sequence.append(part)
    return [torch.cat(sequence) for sequence in found]


def round_trip(model: object) -> LanguageModel:
    """Keys and values through E4M3 where they are made; a float32 cache then holds the same."""
    assert isinstance(model, LanguageModel)

    def through(scale: float):
        def hook(module, inputs, output: Tensor) -> Tensor:
            return (output / scale).clamp(-448, 448).to(torch.float8_e4m3fn).float() * scale

        return hook

    for layer, (key, value) in SCALES.items():
        model.layers[layer].mixer.k_proj.register_forward_hook(through(key))
        model.layers[layer].mixer.v_proj.register_forward_hook(through(value))
    return model


@pytest.mark.parametrize("style", NAMES)
def test_scales_of_the_checkpoint_are_used(tmp_path: Path, style: str) -> None:
    write_folder(tmp_path, NAMES[style], shape=(1,) if style == "vllm" else ())
    narrow, reference = load_model(tmp_path, kv_cache="fp8"), round_trip(load_model(tmp_path))
    for layer, wanted in SCALES.items():
        assert scales(narrow)[layer] == pytest.approx(wanted, rel=1e-7)
    (plain,) = logits(load_model(tmp_path), 17)
    (ours,), (theirs,) = logits(narrow, 17), logits(reference, 17)
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
    assert 1e-4 < (ours - plain).abs().max() / plain.abs().max() < 0.3
    together = logits(narrow, 17, 6)
    assert (together[0] - ours).abs().max() < 1e-5 * ours.abs().max()
    assert (together[1] - logits(narrow, 6)[0]).abs().max() < 1e-5 * ours.abs().max()


@torch.inference_mode()
def test_what_the_cache_holds(tmp_path: Path) -> None:
    write_folder(tmp_path)
    model = load_model(tmp_path, kv_cache="fp8")
    assert isinstance(model, LanguageModel)
    seen = {}
    model.layers[1].mixer.k_proj.register_forward_hook(
        lambda module, inputs, output: seen.update(keys=output)
    )
    cache = model.allocate_cache(capacity=64)
    wide = load_model(tmp_path)
    assert isinstance(wide, LanguageModel)
    usual = wide.allocate_cache(capacity=64)
    layer, other = cache.layers[1], usual.layers[1]
    assert isinstance(layer, AttentionCache) and isinstance(other, AttentionCache)
    assert 4 * layer.keys.nbytes == other.keys.nbytes and cache.num_bytes < usual.num_bytes
    model(model.embed(IDS), cache=cache)
    keys = (seen["keys"] / torch.tensor(SCALES[1][0])).clamp(-448, 448).to(torch.float8_e4m3fn)
    stored = layer.keys[0, :, : len(IDS)].transpose(0, 1).flatten(1)
    assert torch.equal(stored, keys.view(torch.uint8))
    forked = cache.fork().layers[1]
    assert isinstance(forked, AttentionCache) and forked.fp8 == layer.fp8


def test_older_names_and_one_scale_for_both(tmp_path: Path) -> None:
    write_folder(tmp_path, ("kv_scale", "v_scale"))
    wanted = {layer: pytest.approx(pair, rel=1e-7) for layer, pair in SCALES.items()}
    assert scales(load_model(tmp_path)) == wanted  # the scale of its own wins


def test_it_must_be_asked_for(tmp_path: Path) -> None:
    """Some releases declare an FP8 cache and bring no scales: then they are 1, if asked for."""
    write_folder(tmp_path, None)
    values = write.nested("FP8", kv_cache_quant_algo="FP8")
    write.declare(tmp_path, values, file="hf_quant_config.json")
    usual, asked = load_model(tmp_path), load_model(tmp_path, kv_cache="fp8")
    assert isinstance(usual, LanguageModel) and isinstance(asked, LanguageModel)
    assert usual.allocate_cache().layers[1].keys.dtype == torch.float32
    assert asked.allocate_cache().layers[1].keys.dtype == torch.uint8
    assert scales(asked) == {1: (1.0, 1.0), 3: (1.0, 1.0)}
    values = write.nested("FP8", kv_cache_quant_algo="NVFP4")
    write.declare(tmp_path, values, file="hf_quant_config.json")
    with pytest.warns(UserWarning, match="declares a cache in NVFP4, which is not known here"):
        load_model(tmp_path)
    with pytest.raises(ConfigError, match="declares a cache in NVFP4"):
        load_model(tmp_path, kv_cache="fp8")


@pytest.mark.parametrize("style", ["modelopt", "compressed-tensors"])
def test_a_scheme_that_is_not_known_is_named(tmp_path: Path, style: str) -> None:
    write_folder(tmp_path, None)
    scheme = {"num_bits": 8, "type": "int"}
    flat = write.flat if style == "modelopt" else write.compressed
    form = "FP8" if style == "modelopt" else "float-quantized"
    write.declare(tmp_path, flat(form, kv_cache_scheme=scheme))
    with pytest.warns(UserWarning, match=r"config\.json declares a cache in int of 8 bits, which"):
        load_model(tmp_path)
    with pytest.raises(ConfigError, match="declares a cache in int of 8 bits"):
        load_model(tmp_path, kv_cache="fp8")
    write.declare(tmp_path, flat(form, kv_cache_scheme="fp8"))
    with pytest.raises(ConfigError, match="kv_cache_scheme 'fp8', which is no object"):
        load_model(tmp_path)
