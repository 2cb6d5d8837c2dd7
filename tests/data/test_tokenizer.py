"""The trained tokenizer: id layout, single digits, and what transformers makes of its files."""

import json
from pathlib import Path

import pytest

from latentvlm.data.tokenizer import CONTROL_TOKENS, train_tokenizer
from latentvlm.errors import ConfigError

TEXTS = [
    "What is the total of this invoice? 1,234.50 EUR due on 2024-03-17",
    "Read this line. The number of the order is AB-90217.",
    "How many rows are in the table? There are twelve of them.",
    "Who sent the letter? It was sent by the office of the treasurer in Leeds.",
] * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS, vocab_size=320, folder=path)
    return path


def load(folder: Path):
    import tokenizers

    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_ids_follow_the_released_layout(folder: Path):
    tokenizer = load(folder)
    assert tokenizer.get_vocab_size() == 320
    for idx in range(32):
        assert tokenizer.id_to_token(idx) == CONTROL_TOKENS.get(idx, f"<SPECIAL_{idx}>")
    assert tokenizer.token_to_id("<image>") == 18
    assert tokenizer.token_to_id("<|im_end|>") == 11


def test_every_string_survives_the_round_trip(folder: Path):
    tokenizer = load(folder)
    for text in ["12 50.07", "naïve – 東京 😀", "a  b\n\n c\t", "\x00\x7f", " x", "x "]:
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_digits_stay_single(folder: Path):
    tokenizer = load(folder)
    tokens = tokenizer.encode("total 2024 or 1,234.50").tokens
    assert all(len(token) == 1 for token in tokens if any(char.isdigit() for char in token))
    vocabulary = [token for token in tokenizer.get_vocab() if not token.startswith("<SPECIAL")]
    assert not [t for t in vocabulary if len(t) > 1 and any(c.isdigit() for c in t)]


def test_training_is_deterministic(folder: Path, tmp_path: Path):
    train_tokenizer(TEXTS, vocab_size=320, folder=tmp_path)
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_transformers_reads_the_same_ids(folder: Path):
    from transformers import AutoTokenizer

    ours, theirs = load(folder), AutoTokenizer.from_pretrained(folder)
    assert theirs.eos_token_id == 11 and theirs.bos_token_id == 1
    for text in [*TEXTS, "<|im_start|>user\n<image>\nHow many?<|im_end|>\n", "a  b\n\n c\t"]:
        assert theirs(text)["input_ids"] == ours.encode(text).ids
        assert theirs.decode(ours.encode(text).ids) == text


def test_transformers_renders_the_chat_template(folder: Path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many?"}]},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "Sure?"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == (
        "<|im_start|>user\n<image>\nHow many?<|im_end|>\n"
        "<|im_start|>assistant\nTwo.<|im_end|>\n"
        "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_vocabulary_too_small_or_text_too_poor(tmp_path: Path):
    with pytest.raises(ConfigError, match="288"):
        train_tokenizer(TEXTS, vocab_size=200, folder=tmp_path)
    with pytest.raises(ConfigError, match="289"):
        train_tokenizer(["ab"], vocab_size=320, folder=tmp_path)


def test_settings_name_the_end_of_a_turn(folder: Path):
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert settings["eos_token"] == "<|im_end|>"
