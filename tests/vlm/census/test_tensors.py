"""Tensors of whole releases, counted to the last byte, and of a folder on disk."""

from pathlib import Path

import pytest
from support.counted import source
from support.quantized_models import OTHERS, build

from latentvlm.vlm.census.parameters import count_parameters
from latentvlm.vlm.census.tensors import config_tensors, folder_tensors
from latentvlm.vlm.checkpoint.load import load_config
from latentvlm.vlm.quantize.releases import FP8, NVFP4, RELEASES, W4A16_NVFP4


def tensors(release: str):
    return source(release).tensors


def test_the_nvfp4_release_of_nano_to_the_last_byte() -> None:
    found = tensors("nemotron-3-nano-30b-a3b-nvfp4")
    assert len(found) == 24_147
    assert sum(each.num_bytes for each in found) == 19_339_781_632


def test_the_mixed_release_of_super_to_the_last_byte() -> None:
    found = tensors("nemotron-3-super-120b-a12b-nvfp4")
    assert len(found) == 165_860
    assert sum(each.num_bytes for each in found) == 80_297_329_824
    assert sum(each.name.startswith("mtp.") for each in found) == 1_040
    # whatever the format, the parameters are those of the architecture
    plain = sum(each.num_parameters for each in source("nemotron-3-super-120b-a12b").tensors)
    assert sum(each.num_parameters for each in found) == plain


@pytest.mark.parametrize(("release", "counts"), [
    ("nemotron-3-super-120b-a12b-nvfp4", {NVFP4: 40_961, FP8: 139}),
    ("nemotron-3-nano-omni-30b-a3b-nvfp4", {NVFP4: 5_888, FP8: 98}),
    ("nemotron-3.5-lightning-30b-a3b-nvfp4", {W4A16_NVFP4: 5_935, FP8: 46}),
])  # fmt: skip
def test_modules_of_each_format(release: str, counts: dict[str, int]) -> None:
    found: dict[str, int] = {}
    for tensor in source(RELEASES[release].preset).tensors:
        algorithm = RELEASES[release].algorithm(tensor.name.removesuffix(".weight"))
        if algorithm:
            found[algorithm] = found.get(algorithm, 0) + 1
    assert found == counts


def test_layers_around_attention_stay_wide_in_nano() -> None:
    release = RELEASES["nemotron-3-nano-30b-a3b-nvfp4"]
    assert release.algorithm("backbone.layers.4.mixer.in_proj") is None
    assert release.algorithm("backbone.layers.5.mixer.o_proj") is None
    assert release.algorithm("backbone.layers.6.mixer.experts.127.up_proj") == NVFP4
    assert release.algorithm("backbone.layers.7.mixer.in_proj") == NVFP4
    assert release.algorithm("backbone.layers.7.mixer.conv1d") is None
    assert release.algorithm("lm_head") is None


def test_a_folder_holds_what_its_configuration_says(tiny_folder: Path) -> None:
    disk = {each.name: each.shape for each in folder_tensors(tiny_folder)}
    wanted = {each.name: each.shape for each in config_tensors(load_config(tiny_folder))}
    assert not set(wanted) - set(disk)
    # transformers is given a buffer it looks for
    assert set(disk) - set(wanted) == {"vision_model.radio_model.summary_idxs"}
    assert all(disk[name] == wanted[name] for name in disk if name in wanted)


@pytest.mark.parametrize("family", OTHERS)
def test_so_does_one_of_the_families_that_pair_their_layers(family: str, tmp_path: Path) -> None:
    """Granite keeps gate and up in one tensor and all experts in one stack."""
    model = build(family, tmp_path)
    disk = {each.name: each.shape for each in folder_tensors(tmp_path)}
    wanted = config_tensors(model.config)
    assert {each.name: each.shape for each in wanted} == disk and len(wanted) == len(disk)
    counted = count_parameters(wanted, model.config)
    assert counted.total == sum(parameter.numel() for parameter in model.parameters())
