"""Options that several commands share reach each command filled in."""

import dataclasses
import re
import shutil
from pathlib import Path
from typing import Annotated

import pytest
import typer
from support.pdf_files import page_pdf
from typer.testing import CliRunner

from latentvlm.app.cli import main
from latentvlm.app.options import MediaOptions, ModelOptions, SamplingOptions, expand_options
from latentvlm.data.media import MediaLimits
from latentvlm.errors import CheckpointError, ConfigError, InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    width: Annotated[int, typer.Option(help="Across.")] = 3
    names: Annotated[list[str] | None, typer.Option()] = None


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    @expand_options
    def show(word: str, sizes: Sizes, loud: bool = False) -> None:
        """Shows."""
        print(word, sizes.width, sizes.names, loud)

    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("a",), "a 3 None False"),
        (("a", "--width", "5", "--loud"), "a 5 None True"),
        (("--names", "x", "--names", "y", "a"), "a 3 ['x', 'y'] False"),
    ],
)
def test_a_group_of_options_reaches_the_command(arguments: tuple[str, ...], shown: str) -> None:
    assert run(*arguments) == (0, shown + "\n")


def test_a_wrong_value_is_refused_before_the_command_runs() -> None:
    code, output = run("a", "--width", "wide")
    assert code == 2
    assert "--width" in output


def test_what_was_not_given_keeps_the_default_of_the_library() -> None:
    from latentvlm.vlm.sampling import GenerationConfig

    assert SamplingOptions().generation() == GenerationConfig()
    given = SamplingOptions(max_tokens=7, temperature=0.5, stop=["x"]).generation()
    assert given == GenerationConfig(max_tokens=7, temperature=0.5, stop=("x",))


def test_pages_travel_as_they_were_written() -> None:
    assert MediaOptions(pages="1,3-5").arguments() == {
        "pages": "1,3-5",
        "dpi": None,
        "text_layer": False,
    }


def test_what_a_document_may_cost_is_given_by_name(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = MediaOptions(media_limit=["max-pages=500", "max-bytes=9"]).arguments()
    assert given["media_limits"] == MediaLimits(max_pages=500, max_bytes=9)
    for wrong, said in (
        ("pages=3", "no limit 'pages' of documents: max-bytes, max-pixels"),
        ("max-pages=0", "MediaLimits.max_pages is 0 but must be a whole number"),
    ):
        with pytest.raises(ConfigError, match=said):
            MediaOptions(media_limit=[wrong]).arguments()
    path = tmp_path / "three.pdf"
    path.write_bytes(page_pdf((60, 36), (60, 36), (60, 36)))
    asked = ["ask", str(path), "What?", "--model", str(tiny_folder), "--max-tokens", "2"]
    with pytest.raises(SystemExit) as exit:
        main([*asked, "--media-limit", "max-pages=2"])
    said = capsys.readouterr().err
    assert exit.value.code == 2 and "3 pages of" in said and "--pages 1-2" in said
    # What the sentence names lets the document through.
    with pytest.raises(SystemExit) as exit:
        main([*asked, *re.findall(r"\((--media-limit) (\S+)\)", said)[0]])
    assert exit.value.code == 0


def test_a_spread_model_says_what_lies_where(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ModelOptions(model=str(tiny_folder), device_map="cpu=1GiB").load()
    output = capsys.readouterr()
    assert output.err.startswith("cpu: embeddings, tower and projector, layers 0-")
    assert output.err.endswith(" of 1.00 GiB\nwith room for the cache of 8192 tokens\n")
    assert not output.out


def test_the_plan_is_said_before_anything_is_read(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"hidden_size": 32', '"hidden_size": 64'))
    assert text != (folder / "config.json").read_text()
    with pytest.raises(CheckpointError, match="does not fit its config.json"):
        ModelOptions(model=str(folder), device_map="cpu=1GiB", context="2k").load()
    assert "with room for the cache of 2048 tokens" in capsys.readouterr().err


def test_room_for_a_context_is_kept_by_a_map_alone(tiny_folder: Path) -> None:
    with pytest.raises(ConfigError, match="give a device_map too"):
        ModelOptions(model=str(tiny_folder), context="2k").load()
    with pytest.raises(InputError, match="--context is 'long'"):
        ModelOptions(model=str(tiny_folder), device_map="cpu=1GiB", context="long").load()
