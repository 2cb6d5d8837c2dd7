"""`latentvlm bench --quantized`: every number format is opened, kept small and measured."""

import json

import pytest

from latentvlm.app.cli import main
from latentvlm.errors import ConfigError
from latentvlm.eval.quantized_speed import QuantizedSpeedConfig


def test_every_format_is_measured_beside_float32(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--quantized", "--quick", "--repeats", "1", "--json"])
    assert not ended.value.code
    report = json.loads(capsys.readouterr().out)
    sides, ratios = report["sides"], report["ratios"]
    assert list(sides) == ["float32", "bfloat16", "int8 experts", "fp8", "nvfp4", "int4"]
    # a quarter of this small model is not experts, and that is float32
    sizes = [sides[side]["num_bytes"] for side in sides]
    assert sizes[0] == 2 * sizes[1] > sizes[2] > sizes[3] > sizes[4]
    assert sizes[5] == pytest.approx(sizes[4], rel=0.01)
    assert ratios["nvfp4"]["memory_of_bfloat16"] < 0.5
    for side in sides.values():
        assert all(seconds > 0 for seconds in [*side["load"], *side["prefill"], *side["decode"]])
    agreement = {name: side["agreement"] for name, side in sides.items()}
    assert agreement["float32"] == 1
    assert min(agreement.values()) > 0.2  # of random weights, whose tokens are almost alike
    assert agreement["int8 experts"] > agreement["nvfp4"] - 0.05


def test_what_does_not_go_together_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--quantized", "--load"])
    assert ended.value.code == 2
    assert "only --quick" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="experts is 2"):
        QuantizedSpeedConfig(experts=2)
