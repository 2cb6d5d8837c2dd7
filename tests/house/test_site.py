"""The site: every page has its place, links lead somewhere, and nothing comes from elsewhere."""

import html.parser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MADE = {"tour.md", "commands.md"}  # by docs/tools/hooks.py
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def named(nav: Any) -> Iterator[str]:
    """Every page that the navigation names."""
    if isinstance(nav, str):
        yield nav
    for each in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from named(each)


def pages() -> set[str]:
    found = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    proofs = {each for each in found if each.startswith("proofs/")} - {"proofs/README.md"}
    return found - proofs


def anchor(heading: str) -> str:
    text = re.sub(r"[^\w\s-]", "", heading.lower()).strip()
    return re.sub(r"[\s]+", "-", text)


def test_the_navigation_names_every_page_once() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = list(named(settings["nav"]))
    assert len(listed) == len(set(listed))
    assert set(listed) == pages() | MADE
    for name in pages():
        titles = re.findall(r"^# ", _CODE.sub("", (DOCS / name).read_text("utf-8")), re.MULTILINE)
        assert len(titles) == 1, f"{name} has {len(titles)} titles"


@pytest.mark.parametrize("name", sorted(pages()))
def test_every_link_of_a_page_resolves(name: str) -> None:
    path = DOCS / name
    for link in _LINK.findall(_CODE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, part = link.partition("#")
        there = path.parent / target if target else path
        is_made = str(Path(os.path.normpath(there)).relative_to(DOCS)) in MADE
        assert is_made or there.is_file(), f"{name} links to {link}"
        if part and not is_made and name != "reference.md" and "reference.md" not in target:
            headings = map(anchor, _HEADING.findall(there.read_text(encoding="utf-8")))
            assert part in headings, f"{name} links to {link}"


class Loaded(html.parser.HTMLParser):
    """What a browser fetches for a page, without a click."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        is_link = tag == "link" and values.get("rel") not in ("canonical", "next", "prev")
        key = "href" if is_link else "src"
        if (is_link or tag in ("script", "img", "iframe", "source")) and values.get(key):
            self.found.append(str(values[key]))


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    built = list(tmp_path.rglob("*.html"))
    assert len(built) > len(pages())
    for path in built:
        loaded = Loaded()
        loaded.feed(path.read_text(encoding="utf-8"))
        outside = [each for each in loaded.found if re.match(r"([a-z]+:)?//", each)]
        assert outside == [], f"{path.name} loads {outside}"
    for path in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8"))
    commands = (tmp_path / "commands.html").read_text(encoding="utf-8")
    for name in ("ask", "data write", "eval run", "doctor"):
        assert f"latentvlm {name}" in commands
    reference = (tmp_path / "reference.html").read_text(encoding="utf-8")
    for name in ("latentvlm.VLM.ask", "latentvlm.load", "latentvlm.AskOptions"):
        assert f'id="{name}"' in reference, name


@pytest.mark.slow
def test_the_drawings_are_what_the_code_draws(tmp_path: Path) -> None:
    """By the words and numbers in them: how lines are written differs between matplotlib's."""
    command = [sys.executable, str(DOCS / "tools" / "drawings.py"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in (DOCS / "drawings").iterdir()
    }
    for path in tmp_path.glob("*.svg"):
        fresh, kept = (
            re.findall(r">([^<>]+)</text>", each.read_text(encoding="utf-8"))
            for each in (path, DOCS / "drawings" / path.name)
        )
        assert fresh == kept and fresh, f"run make drawings: {path.name}"
