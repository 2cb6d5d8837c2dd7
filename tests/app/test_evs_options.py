"""The options of EVS on the command line."""

import json
import sys
from pathlib import Path

import pytest

from latentvlm.app.cli import main
from latentvlm.app.evs_options import EVSOptions
from latentvlm.token_reduction.evs import EVSConfig


def test_what_is_given_becomes_one_configuration():
    assert EVSOptions().arguments() == {"token_budget": None}
    given = EVSOptions(evs_rate=0.75, token_budget=4096, evs_threshold=0.1, evs_floor=0.05)
    wanted = EVSConfig(rate=0.75, threshold=0.1, floor=0.05)
    assert given.arguments() == {"evs": wanted, "token_budget": 4096}


def test_counts_before_and_after_are_in_the_json(
    tiny_folder: Path, picture: Path, capsys: pytest.CaptureFixture
):
    asked = ["ask", str(picture), "What is the total?", "--model", str(tiny_folder)]
    with pytest.raises(SystemExit) as exit:
        main([*asked, "--evs-rate", "0.75", "--token-budget", "4096", "--json"])
    assert exit.value.code in (0, None)
    usage = json.loads(capsys.readouterr().out)["usage"]
    # a picture is no video: all of it stays
    assert usage["visual_tokens_before"] == usage["visual_tokens"] == 24
    with pytest.raises(SystemExit) as exit:
        main([*asked, "--evs-rate", "1.5"])
    told = capsys.readouterr()
    assert exit.value.code == 2 and "EVS rate is 1.5" in told.err, sys.stderr
