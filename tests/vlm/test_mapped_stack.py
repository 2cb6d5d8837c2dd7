"""Experts that stay in their files: the values of the file, in the order of the experts."""

import mmap
import sys
from pathlib import Path

import pytest
import torch

from latentvlm.vlm.checkpoint import mapped_stack
from latentvlm.vlm.checkpoint.mapped_stack import StackMapper
from latentvlm.vlm.checkpoint.shards import ShardReader, write_shards

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="maps pages as Linux does")

ROWS, COLUMNS, EXPERTS = 64, 512, 12  # 64 KiB each: sixteen pages


def _folder(folder: Path, shard_bytes: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    tensors = {
        f"experts.{expert}.{part}": torch.randn(ROWS, COLUMNS).to(torch.bfloat16)
        for part in ("down", "up")
        for expert in range(EXPERTS)
    }
    write_shards(folder, tensors.items(), max_shard_bytes=shard_bytes)
    return tensors


def _stack(folder: Path, part: str, mapper: StackMapper | None = None):
    with ShardReader(folder) as reader:
        extents = [reader.extent(f"experts.{expert}.{part}") for expert in range(EXPERTS)]
    assert None not in extents
    known = [extent for extent in extents if extent is not None]
    return (mapper or StackMapper()).stack(known, (EXPERTS, ROWS, COLUMNS), torch.bfloat16)


@pytest.mark.parametrize("part", ["up", "down"])
def test_experts_come_in_order_from_a_file_sorted_as_text(tmp_path: Path, part: str) -> None:
    tensors = _folder(tmp_path, 1 << 30)
    made = _stack(tmp_path, part)
    assert made is not None
    stack, elsewhere = made
    assert not elsewhere
    for expert in range(EXPERTS):
        assert torch.equal(stack[expert], tensors[f"experts.{expert}.{part}"])
        assert stack[expert].is_contiguous()


def test_experts_of_another_shard_are_left_to_the_caller(tmp_path: Path) -> None:
    # nine experts, then three beside others: a header of another length, so other offsets
    tensors = _folder(tmp_path, 9 * ROWS * COLUMNS * 2)
    with ShardReader(tmp_path) as reader:
        files = [reader.files[f"experts.{expert}.down"] for expert in range(EXPERTS)]
        extents = [reader.extent(f"experts.{expert}.down") for expert in range(EXPERTS)]
    within = [extent.offset % mmap.PAGESIZE for extent in extents if extent]
    assert len(set(files)) == 2
    made = _stack(tmp_path, "down")
    assert made is not None
    stack, elsewhere = made
    assert elsewhere == [expert for expert in range(EXPERTS) if within[expert] != within[0]]
    assert elsewhere, "the shards should differ in the length of their headers"
    for expert in set(range(EXPERTS)) - set(elsewhere):
        assert torch.equal(stack[expert], tensors[f"experts.{expert}.down"])
    assert not stack[elsewhere].any()


def test_writing_to_the_stack_leaves_the_file(tmp_path: Path) -> None:
    tensors = _folder(tmp_path, 1 << 30)
    made = _stack(tmp_path, "up")
    assert made is not None
    made[0].zero_()
    again = _stack(tmp_path, "up")
    assert again is not None
    assert torch.equal(again[0][5], tensors["experts.5.up"])


def test_small_experts_and_too_many_mappings_are_copied(tmp_path: Path, monkeypatch) -> None:
    _folder(tmp_path, 1 << 30)
    monkeypatch.setattr(mapped_stack, "_LEAST_PAGES", 17)
    assert _stack(tmp_path, "up") is None
    monkeypatch.setattr(mapped_stack, "_LEAST_PAGES", 16)
    limit = tmp_path / "max_map_count"
    limit.write_text(str(2 * EXPERTS + 2))  # half of them for one stack, not for two
    monkeypatch.setattr(mapped_stack, "_LIMIT", limit)
    mapper = StackMapper()
    assert _stack(tmp_path, "up", mapper) is not None
    assert _stack(tmp_path, "down", mapper) is None


def test_the_memory_goes_with_the_tensor(tmp_path: Path) -> None:
    _folder(tmp_path, 1 << 30)
    (file,) = tmp_path.glob("*.safetensors")
    made = _stack(tmp_path, "up")
    maps = Path("/proc/self/maps")
    assert str(file) in maps.read_text()
    del made
    assert str(file) not in maps.read_text()
