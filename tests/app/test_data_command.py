"""Shards from the command line: drawn, looked into, and checked."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from latentvlm.app.cli import main


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as exit:
        main(["data", *map(str, arguments)])
    return exit.value.code, *capsys.readouterr()


def test_shards_are_drawn_described_and_found_whole(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "shards"
    written = run(capsys, "write", folder, "--documents", 7, "--per-shard", 4, "--json")
    assert written[0] == 0 and json.loads(written[1])["documents"] == 7
    assert len(sorted(folder.glob("*.tar"))) == 2
    code, out, _ = run(capsys, "inspect", folder, "--show", 1, "--json")
    found = json.loads(out)
    assert code == 0 and (found["shards"], found["records"], found["left_out"]) == (2, 7, 0)
    example = found["examples"][0]
    assert len(found["examples"]) == 1 and example["lines"] and example["questions"]
    assert found["questions"]["field"] > 0
    code, out, _ = run(capsys, "check", folder)
    assert (code, out) == (0, "7 records of 2 shards are whole, 0 faults.\n")


def test_documents_of_several_pages_and_videos_are_drawn(tmp_path: Path, capsys) -> None:
    code, *_ = run(
        capsys, "write", tmp_path / "p", "--documents", 4, "--level", "lines", "--pages", "2-3"
    )
    assert code == 0
    found = json.loads(run(capsys, "inspect", tmp_path / "p", "--json")[1])
    low, high = found["pages"]
    assert 2 <= low <= high <= 3 and found["frames"] is None
    assert found["questions"]["which_page"] + found["questions"]["count_pages"] >= 5
    words = ["--level", "video", "--frames", "9-10", "--widths", "208-240", "--font-sizes", "13"]
    assert run(capsys, "write", tmp_path / "v", "--documents", 3, *words)[0] == 0
    found = json.loads(run(capsys, "inspect", tmp_path / "v", "--json")[1])
    low, high = found["frames"]
    assert 9 <= low <= high <= 10 and 208 <= found["width"][0] <= found["width"][1] <= 240
    assert "3 videos of" in run(capsys, "inspect", tmp_path / "v")[1]
    assert "documents of" in run(capsys, "inspect", tmp_path / "p")[1]
    for words, said in (
        (["--frames", "9-10"], "--frames is of videos"),
        (["--pages", "5-2"], "no range of whole numbers such as 2-5"),
        (["--pages", "2-5", "--level", "video"], "pages needs a config of level"),
        (["--level", "video", "--frames", "2-3"], "frames is (2, 3)"),
    ):
        code, _, err = run(capsys, "write", tmp_path / "bad", *words)
        assert code == 2 and said in err


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path, capsys) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(capsys, "write", tmp_path / name, "--documents", 2, "--seed", seed)
    a, b, c = (next((tmp_path / name).glob("*.tar")).read_bytes() for name in "abc")
    assert a == b != c


def test_broken_records_are_named(tmp_path: Path, capsys) -> None:
    run(capsys, "write", tmp_path, "--documents", 3, "--level", "line")
    (path,) = tmp_path.glob("*.tar")
    with tarfile.open(path) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]
    name = sorted(each for each in members if each.endswith(".png"))[1]
    members[name] = members[name][:40]

    with tarfile.open(path, "w") as tar:
        for each, content in members.items():
            info = tarfile.TarInfo(each)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    code, out, _ = run(capsys, "check", path)
    assert code == 2
    assert f"record {name.removesuffix('.png')!r} of shard {path}: " in out
    assert "2 records of 1 shards are whole, 1 faults." in out


def test_what_is_no_shard_is_named(tmp_path: Path, capsys) -> None:
    code, _, err = run(capsys, "inspect", tmp_path)
    assert code == 2 and f"folder {tmp_path} holds no .tar shard" in err
    code, _, err = run(capsys, "inspect", tmp_path / "none.tar")
    assert code == 2 and f"shard {tmp_path / 'none.tar'} does not exist" in err
    code, _, err = run(capsys, "write", tmp_path, "--level", "poem")
    assert code == 2 and "level is 'poem'" in err
