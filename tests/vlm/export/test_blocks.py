"""A checkpoint run a block at a time: several prompts at once, each as if it were alone."""

from collections import Counter
from pathlib import Path

import pytest

from latentvlm.vlm.export import blocks
from latentvlm.vlm.export.blocks import BlockRunner
from latentvlm.vlm.export.calibrate import calibrate
from latentvlm.vlm.export.prompts import find_prompts
from latentvlm.vlm.export.source import WeightSource


def test_prompts_go_through_a_block_together_and_do_not_see_each_other(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = WeightSource(original)
    prompts = find_prompts(source, None, 4, split="train").inputs
    reads: Counter[tuple[str, int | None]] = Counter()
    read = source.read

    def count(name: str, expert: int | None = None):
        reads[name, expert] += expert is not None
        return read(name, expert)

    monkeypatch.setattr(source, "read", count)
    found = {}
    for at_once in (10_000, 1):
        monkeypatch.setattr(blocks, "TOGETHER", at_once)
        reads.clear()
        found[at_once] = calibrate(BlockRunner(source), prompts)
        # by the block, and by who looks at what goes into the second of its products
        assert max(reads.values()) <= (2 if at_once > 1 else 2 * len(prompts))
    together, alone = found[10_000], found[1]
    assert max(reads.values()) > 2  # alone an expert is read for each prompt
    assert together.expert_tokens == alone.expert_tokens
    assert together.num_tokens == alone.num_tokens > 4
    for name, largest in alone.largest_inputs.items():
        assert together.largest_inputs[name] == pytest.approx(largest, rel=1e-4), name
