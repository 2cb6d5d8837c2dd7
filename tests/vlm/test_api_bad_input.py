"""Bad input through the front door: one clear sentence, or an answer where it is no fault."""

import io
import json
import re
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from support.pdf_files import build_pdf, locked_pdf, page_pdf

from latentvlm.errors import (
    CheckpointError,
    ConfigError,
    InputError,
    LatentVLMError,
    MediaError,
    PromptError,
)
from latentvlm.vlm.api import load
from latentvlm.vlm.ask_options import AskOptions
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

ONE = GenerationConfig(max_tokens=1)


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return load(tiny_folder, device="cpu", dtype="float32")


def refusal(error: type[LatentVLMError], call: Callable[[], object]) -> str:
    """The message: one sentence of the exception tree."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message, message
    assert not re.search(r"[.!?] [A-Z]", message), f"more than one sentence: {message}"
    return message


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 64, height: int = 48) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def bomb() -> bytes:
    """A PNG whose header promises 30,000 x 30,000 pixels."""
    chunks = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        chunks += struct.pack(">I", len(data)) + kind + data
        chunks += struct.pack(">I", zlib.crc32(kind + data))
    return chunks


NO_PAGES = [b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids [] /Count 0>>"]
FILES = {
    "empty.png": (b"", "is empty"),
    "cut.jpg": (encode(noise(), "JPEG")[:-400], "cut.jpg"),
    "bomb.png": (bomb(), "30000 x 30000"),
    "locked.pdf": (locked_pdf(b"secret"), "locked by a password"),
    "none.pdf": (build_pdf(NO_PAGES), "0 pages"),
    "text.png": (b"Total: 12.50\nThank you.\n", "is a text file"),
    "unknown.bin": (bytes(range(256)), "not in a known format"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_page(vlm: VLM, tmp_path: Path, name: str) -> None:
    data, words = FILES[name]
    path = tmp_path / name
    path.write_bytes(data)
    message = refusal(MediaError, lambda: vlm.ask("What is the total?", noise(), path))
    assert words in message and name in message


def test_a_page_out_of_range(vlm: VLM) -> None:
    document = page_pdf((72, 72))
    assert "page 3" in refusal(MediaError, lambda: vlm.ask("Who?", document, pages="3"))
    assert "dpi is 0" in refusal(ConfigError, lambda: vlm.ask("Who?", document, dpi=0))
    assert "generation is a dict" in refusal(
        ConfigError, lambda: vlm.ask("Who?", generation={"max_tokens": 3})
    )


def upright(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = noise().transpose(Image.Transpose.ROTATE_90) if orientation == 6 else noise()
    return encode(turned, "PNG", exif=exif)


SIXTEEN_BIT = np.linspace(0, 65535, 64 * 48, dtype=np.uint16).reshape(48, 64)
UNUSUAL = {
    "thin": (encode(noise(1, 5000), "PNG"), None),
    "cmyk": (encode(noise().convert("CMYK"), "JPEG"), (6, 8)),
    "palette": (encode(noise().convert("P"), "PNG"), (6, 8)),
    "16-bit": (encode(Image.fromarray(SIXTEEN_BIT), "PNG"), (6, 8)),
    "alpha": (encode(noise().convert("RGBA"), "PNG"), (6, 8)),
    "rotated": (upright(6), (6, 8)),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_picture_is_answered(vlm: VLM, name: str) -> None:
    data, grid = UNUSUAL[name]
    answer = vlm.ask("What is the total?", data, generation=ONE)
    (found,) = answer.usage.image_grids
    assert found == grid if grid else min(found) >= 2 and found[0] > found[1]


@pytest.mark.parametrize("question", ["", " \n\t "])
def test_an_empty_question(vlm: VLM, question: str) -> None:
    assert "question is empty" in refusal(PromptError, lambda: vlm.ask(question, noise()))
    assert "question is empty" in refusal(PromptError, lambda: vlm.ask(question))
    chat = [{"role": "user", "content": question}]
    assert "question is empty" in refusal(PromptError, lambda: vlm.chat(chat))
    assert "question is empty" in refusal(PromptError, lambda: vlm.score(question, "12"))


def test_a_question_longer_than_the_context_names_both_numbers(vlm: VLM) -> None:
    message = refusal(PromptError, lambda: vlm.ask("total " * 5000))
    assert re.search(r"has \d{4,} tokens", message) and "4096" in message


def test_pages_longer_than_the_context_name_their_share(vlm: VLM) -> None:
    # Pages are made smaller to fit, down to one visual token each; with what stands around it
    # that is three tokens a page.
    message = refusal(PromptError, lambda: vlm.ask("Who?", *[noise(16, 16)] * 1400))
    assert "1400 of them for pictures" in message and "4096" in message


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "conversation is empty"),
        ("What?", "not a str"),
        ({"role": "user", "content": "What?"}, "not a dict"),
        (["What?"], "Message 0 is a str"),
        ([{"role": "robot", "content": "What?"}], "role 'robot'"),
        ([{"role": "user", "content": 3}], "Message 0 needs a content"),
        ([{"role": "user", "content": [{"type": "sound", "sound": "a.wav"}]}], "Message 0"),
        ([{"role": "user", "content": [{"type": "image"}]}], "Message 0"),
        ([{"role": "user", "content": ["What?"]}], "Message 0"),
        ([{"role": "user", "content": "Wh\ud800?"}], "character 2"),
        ([{"role": "system", "content": "Be brief."}], "last message is of the system"),
        (
            [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}],
            "last message is of the assistant",
        ),
    ],
)
def test_messages_that_are_no_conversation(vlm: VLM, messages, words: str) -> None:
    assert words in refusal(PromptError, lambda: vlm.chat(messages))


def test_media_before_the_question(vlm: VLM) -> None:
    call = lambda: vlm.ask(noise(), "What?")  # type: ignore[arg-type] # noqa: E731
    assert "it comes before the media" in refusal(PromptError, call)


@pytest.fixture
def broken(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    assert "nowhere" in refusal(CheckpointError, lambda: load(tmp_path / "nowhere"))
    assert "config.json" in refusal(CheckpointError, lambda: load(tmp_path))
    (tmp_path / "config.json").write_text("{")
    assert "config.json" in refusal(CheckpointError, lambda: load(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert "gpt2" in refusal(ConfigError, lambda: load(tmp_path))


def test_a_missing_shard(broken: Path) -> None:
    shard = sorted(broken.glob("*.safetensors"))[1]
    shard.unlink()
    assert shard.name in refusal(CheckpointError, lambda: load(broken))


def test_a_shard_that_is_cut_short(broken: Path) -> None:
    shard = sorted(broken.glob("*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:1000])
    assert shard.name in refusal(CheckpointError, lambda: load(broken))


def test_a_tensor_of_the_wrong_shape(broken: Path) -> None:
    index = json.loads((broken / "model.safetensors.index.json").read_text())
    name = "mlp1.1.weight"
    shard = broken / index["weight_map"][name]
    tensors = load_file(shard)
    tensors[name] = tensors[name][:-1].clone()
    save_file(tensors, shard, metadata={"format": "pt"})
    message = refusal(CheckpointError, lambda: load(broken))
    assert name in message and "[47, 128]" in message and "[48, 128]" in message


def test_end_tokens_that_are_none(broken: Path) -> None:
    (broken / "generation_config.json").write_text('{"eos_token_id": "end"}')
    assert "'end' for eos_token_id" in refusal(CheckpointError, lambda: load(broken))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_without_text_files_only_text_is_refused(broken: Path, name: str, vlm: VLM) -> None:
    (broken / name).unlink()
    dumb = load(broken, device="cpu", dtype="float32")
    ids = vlm.processor([{"role": "user", "content": "Who?"}]).input_ids
    assert dumb.logits(input_ids=ids).equal(vlm.logits(input_ids=ids))
    assert name in refusal(CheckpointError, lambda: dumb.ask("Who?"))
    assert name in refusal(CheckpointError, lambda: dumb.score("Who?", "Me"))


def test_every_refusal_is_a_value_error_too(vlm: VLM) -> None:
    with pytest.raises(ValueError):
        vlm.ask("")
    with pytest.raises(InputError):
        vlm.ask("Who?", "nowhere.png")


def test_an_option_that_is_none_is_refused_with_the_nearest(vlm: VLM) -> None:
    for ask in (vlm.ask, vlm.stream, vlm.engine.ask):
        with pytest.raises(TypeError, match="no option 'evs_rat'; did you mean 'evs_rate'"):
            ask("Who?", evs_rat=0.5)  # pyright: ignore
    for name, key in [("max_new_tokens", "max_tokens"), ("top_k", "top_k")]:
        with pytest.raises(TypeError, match=rf"{name}.*latentvlm.GenerationConfig\({key}=8\)$"):
            vlm.ask("Who?", **{name: 8})
    with pytest.raises(TypeError, match="no option 'zzz'$"):
        vlm.chat([{"role": "user", "content": "Who?"}], zzz=1)  # pyright: ignore
    with pytest.raises(PromptError, match="did you mean 'dpi'"):
        vlm.ask_batch([{"question": "Who?", "dip": 96}])


def test_every_option_is_explained_once() -> None:
    attributes = (AskOptions.__doc__ or "").split("Attributes:")[1]
    explained = re.findall(r"^        (\w+): ", attributes, re.MULTILINE)
    assert explained == list(AskOptions.__annotations__)
