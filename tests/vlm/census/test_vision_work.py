"""What pictures cost, against numbers worked by hand."""

from pathlib import Path

import pytest
from support.counted import counted, source

from latentvlm.errors import ConfigError, InputError
from latentvlm.vision_encoder.library_tower import library_tower
from latentvlm.vlm import parts
from latentvlm.vlm.census.gpus import find_gpu
from latentvlm.vlm.census.plan import Plan, make_plan
from latentvlm.vlm.census.request import Request
from latentvlm.vlm.census.source import find_source
from latentvlm.vlm.census.vision_work import Pictures, VisionWork, read_size, vision_work
from latentvlm.vlm.checkpoint import save_model
from latentvlm.vlm.presets import tiny

VL, OMNI = "nemotron-nano-12b-v2-vl", "nemotron-3-nano-omni-30b-a3b"
# of C-RADIO's ViT-H: 32 layers of 1280, an MLP of 5120, patches of 3 x 16 x 16 values
A_ROW = 32 * (4 * 1280**2 + 2 * 1280 * 5120) + 768 * 1280


def work(name: str, **shown: int) -> VisionWork:
    found = vision_work(source(name), Pictures(**shown))
    assert found is not None
    return found


def attention(*lengths: int) -> float:
    return sum(4 * 1280 * 32 * length**2 for length in lengths)


def test_one_tile() -> None:
    found = work(VL, images=1, width=512, height=512)
    assert (found.patches, found.tokens, found.layers) == (1024, 256, 32)
    # four patches of 1280 to one token of 5120, through 20480
    projector = 5120 * 20480 + 20480 * 5120
    rows = 1024 + 10  # four class tokens and six registers
    assert found.flops == 2 * A_ROW * rows + attention(rows) + 2 * projector * 256
    assert found.activation_bytes == 2 * 1024 * (2 * 1280 + 5120)


def test_tiles_attend_apart_and_each_picture_has_its_thumbnail() -> None:
    one, two = (work(VL, images=images, width=1024, height=1024) for images in (1, 2))
    assert one.tokens == (4 + 1) * 256 and two.tokens == 2 * one.tokens
    assert one.flops == 5 * work(VL, images=1, width=512, height=512).flops
    assert two.flops == 2 * one.flops


def test_a_picture_of_any_size_attends_as_one() -> None:
    found = work(OMNI, images=1, width=1600, height=800)
    assert (found.patches, found.tokens) == (100 * 50, 50 * 25)
    projector = counted(OMNI).of("projector")
    assert found.flops == pytest.approx(
        2 * A_ROW * (5000 + 10) + attention(5000 + 10) + 2 * projector * found.tokens, rel=1e-4
    )


def test_two_frames_are_one_tubelet_and_a_long_video_is_encoded_in_pieces() -> None:
    few, many = (work(OMNI, frames=frames, width=512, height=512) for frames in (3, 200))
    assert (few.patches, few.tokens) == (2 * 1024, 2 * 256)
    assert (many.patches, many.tokens) == (100 * 1024, 100 * 256)
    assert many.activation_bytes == 2 * 16384 * (2 * 1280 + 5120)


def planned(name: str, pictures: Pictures, **given) -> Plan:
    request = Request(**{"context": 8192, "batch": 2, "gpu": find_gpu("h100"), **given})
    found = vision_work(source(name), pictures)
    return make_plan(source(name).text, counted(name), request, vision=found)


def test_a_plan_with_pictures() -> None:
    blind = planned(VL, Pictures())
    seeing = planned(VL, Pictures(images=4))
    assert blind.encode is None and seeing.encode is not None and seeing.vision is not None
    assert seeing.encode.tokens == 2 * 4 * 5 * 256
    assert seeing.encode.flops == 2 * seeing.vision.flops
    assert seeing.encode.bottleneck == "compute"
    held = counted(VL).by_class
    # each prompt reads tower and projector once
    assert seeing.encode.memory_bytes == 2 * (
        held["vision"].num_bytes + held["projector"].num_bytes
    )
    # their tokens are part of the context, which is read as before
    assert seeing.prefill == blind.prefill and seeing.kv == blind.kv
    tower = 2 * 4 * 5 * 1024 * (2 * 1280 + 5120)
    assert seeing.activations == blind.activations > tower
    request = Request(context=8192, batch=1, gpu=find_gpu("h100"), gpus=2)
    shown = work(VL, images=4)
    small = make_plan(source("tiny").text, counted("tiny"), request, vision=shown)
    assert small.activations == shown.activation_bytes / 2 == tower / 2
    spread = planned(VL, Pictures(images=4), gpus=4)
    assert spread.encode is not None and spread.encode.flops == seeing.encode.flops / 4
    assert spread.encode.exchanged_bytes > 0


def test_the_settings_of_a_folder_are_used(tiny_folder: Path) -> None:
    found = vision_work(find_source(str(tiny_folder)), Pictures(images=1, width=8000, height=8000))
    assert found is not None and found.patches == 256  # its max_num_patches


def test_a_tower_of_a_library_is_counted_by_its_tensors(tmp_path: Path) -> None:
    tower = library_tower(
        "timm", "vit_tiny_patch16_224", model_args={"depth": 3, "embed_dim": 48, "num_heads": 3}
    )
    save_model(parts.build(vision=tower, text=tiny().text, projector_hidden_size=64), tmp_path)
    found = vision_work(find_source(str(tmp_path)), Pictures(images=1, width=512, height=512))
    assert found is not None and (found.layers, found.width) == (3, 48)
    a_row = 3 * (4 * 48**2 + 2 * 48 * 192) + 768 * 48
    attended = 4 * 48 * 3 * found.patches**2
    projector = 2 * 64 * (4 * 48 + tiny().text.hidden_size)
    wanted = 2 * a_row * found.patches + attended + projector * found.tokens
    assert found.flops == pytest.approx(wanted, rel=0.01)


def test_what_cannot_be_shown() -> None:
    with pytest.raises(ConfigError, match="jamba-v0.1 reads text only"):
        work("jamba-v0.1", images=1)
    with pytest.raises(InputError, match="take 51200 tokens, more than its context of 8192"):
        planned(VL, Pictures(images=40))
    with pytest.raises(InputError, match="--image-size is 'large'"):
        read_size("large")
    with pytest.raises(InputError, match="images is -1"):
        Pictures(images=-1)
    with pytest.raises(InputError, match="0 x 9 pixels shows nothing"):
        Pictures(images=1, width=0, height=9)
    assert read_size("1920x1080") == (1920, 1080)
