"""Hub ids: the real client against a hub on the loopback, then against nothing but its cache."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from support.fake_hub import COMMIT, FakeHub

import latentvlm
from latentvlm.errors import CheckpointError
from latentvlm.vlm.census.description import describe
from latentvlm.vlm.census.source import find_source as find_model
from latentvlm.vlm.checkpoint.hub import find_source

HUB_ID = "someone/tiny-omni"


@pytest.fixture
def hub(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """Holds one repository, with files in it that must stay where they are."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "served"))
    (folder / "modeling_x.py").write_text("raise SystemExit('remote code ran')\n")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "weights.pt").write_bytes(b"pickle")
    (folder / "original").mkdir()
    (folder / "original" / "model.safetensors").write_bytes(b"another format")
    hub = FakeHub()
    hub.repositories[HUB_ID] = folder
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    huggingface_hub.close_session()
    yield hub
    hub.shutdown()
    hub.server_close()
    huggingface_hub.close_session()


def test_an_id_is_fetched_without_code_or_pickles_and_kept(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = latentvlm.load(HUB_ID, device="cpu")
    assert vlm.source is not None and vlm.source.commit == COMMIT
    assert str(vlm.source) == f"{HUB_ID}@{COMMIT}"
    assert {"config.json", "tokenizer.json", "chat_template.jinja"} <= set(hub.fetched)
    assert sum(name.endswith(".safetensors") for name in hub.fetched) > 1  # its shards
    kept = {path.name for path in (tmp_path / "cache").rglob("*") if not path.is_dir()}
    for name in ("modeling_x.py", "pytorch_model.bin", "weights.pt", "original"):
        assert name not in hub.fetched and name not in kept
    # again, with nobody to ask
    hub.fetched.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    again = latentvlm.load(HUB_ID, device="cpu", revision=COMMIT)
    assert again.source == vlm.source and not hub.fetched
    with pytest.raises(CheckpointError, match="not in the local cache.*HF_HUB_OFFLINE is set"):
        find_source("someone/else")


def test_what_the_hub_does_not_give(hub: FakeHub) -> None:
    with pytest.raises(CheckpointError, match="no repository someone/nothing .* private"):
        find_source("someone/nothing")
    with pytest.raises(CheckpointError, match="has no revision 'v9'"):
        find_source(HUB_ID, revision="v9")
    hub.gated.add("someone/gated")
    with pytest.raises(CheckpointError, match="someone/gated is gated: accept its terms"):
        find_source("someone/gated")


def test_without_a_network(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.shutdown()
    hub.server_close()
    with pytest.raises(CheckpointError, match="not in the local cache.*no connection to http"):
        find_source(HUB_ID)


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "./a/b", "owner/", "/no/such", "a b/c", ""])
def test_neither_folder_nor_id(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "":
        assert find_source(name).folder == Path()  # the folder one is in
        return
    with pytest.raises(CheckpointError, match="is not a folder.* owner/name"):
        find_source(name)


def test_a_folder_has_no_revision(tiny_folder: Path) -> None:
    assert str(find_source(tiny_folder)) == str(tiny_folder)
    with pytest.raises(CheckpointError, match="is a folder, which has no revision 'main'"):
        find_source(tiny_folder, revision="main")


def test_a_repository_is_counted_without_its_weights(
    hub: FakeHub, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = list(hub.repositories[HUB_ID].glob("*.safetensors"))
    for shard in shards:
        shard.write_bytes(shard.read_bytes() + bytes(300_000))  # as if of large tensors
    found = find_model(HUB_ID)
    assert describe(found)["problems"] == []
    assert describe(found)["parameters"] == describe(find_model(str(tiny_folder)))["parameters"]
    assert found.kind == "repository" and found.name == f"{HUB_ID}@{COMMIT}"
    weights = {path.name: path.stat().st_size for path in shards}
    assert found.sizes is not None and weights.items() <= found.sizes.items()
    # a range of each, and no more of the large ones than their headers may take
    assert {name for name, _ in hub.ranges} == set(weights)
    assert min(weights.values()) > 300_000 > 100_001 >= max(size for _, size in hub.ranges)
    assert not {name for name in hub.fetched if not name.endswith((".json", ".jinja"))}
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    # what was fetched is kept, the headers are not
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    with pytest.raises(CheckpointError, match="weights of .* not in the local cache.*OFFLINE"):
        find_model(HUB_ID)


def test_shards_in_the_cache_are_counted_there(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = find_source(HUB_ID).folder
    find_model(HUB_ID, revision="main")
    assert not hub.ranges
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    found = find_model(HUB_ID)
    assert found.folder == folder and found.tensors and not hub.ranges


def test_a_draft_head_in_a_file_of_its_own_is_counted(hub: FakeHub) -> None:
    served = hub.repositories[HUB_ID]
    index = json.loads((served / "model.safetensors.index.json").read_text())
    names = [name for name in index["weight_map"] if ".mtp." in f".{name}"]
    draft = {}
    for path in {index["weight_map"].pop(name) for name in names}:
        held = load_file(served / path)
        draft |= {name: held.pop(name) for name in names if name in held}
        save_file(held, served / path)
    save_file(draft, served / "mtp.safetensors")
    (served / "model.safetensors.index.json").write_text(json.dumps(index))
    assert draft and {tensor.name for tensor in find_model(HUB_ID).tensors} >= set(draft)


def test_what_a_repository_without_weights_is_told(hub: FakeHub) -> None:
    with pytest.raises(CheckpointError, match="has no revision 'v9'"):
        find_model(HUB_ID, revision="v9")
    served = hub.repositories[HUB_ID]
    shard = next(served.glob("model-00002*.safetensors"))
    shard.write_bytes(b"no header at all")
    with pytest.raises(CheckpointError, match="weights that cannot be read"):
        find_model(HUB_ID)
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"has no {shard.name}: there are no weights"):
        find_model(HUB_ID)
    hub.shutdown()
    hub.server_close()
    huggingface_hub.close_session()
    with pytest.raises(CheckpointError, match="cannot be fetched from the hub"):
        find_model(HUB_ID)  # its files are in the cache, and nobody has the headers
