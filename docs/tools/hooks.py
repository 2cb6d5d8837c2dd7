"""What mkdocs adds to the site: the notebook as a page, and every command with its options."""

import json
import tempfile
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

HEAD = """What `latentvlm COMMAND --help` says, of every command. `--json` prints one JSON object
instead of text on standard output, and nothing else there (`chat` one for each answer; `serve`
and `demo` their address, then they run). `latentvlm --install-completion` teaches the shell
commands and options.

| exit code | what it means |
| --- | --- |
| 0 | done |
| 1 | something unexpected: `latentvlm --debug COMMAND` shows where |
| 2 | bad input, said in one sentence |
| 3 | not as wanted: a proof that does not hold, a training stopped early, a document left out |
| 130 | stopped by Ctrl-C |"""
ROOT = Path(__file__).resolve().parents[2]
_NAMED = tempfile.TemporaryDirectory(prefix="latentvlm-docs-")


@event_priority(100)
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Called by mkdocs first: the sources are looked up by name, whatever the checkout's folder."""
    named = Path(_NAMED.name) / "latentvlm"
    if not named.exists():
        named.symlink_to(ROOT, target_is_directory=True)
    plugin: Any = config.plugins["mkdocstrings"]
    plugin.config.handlers["python"]["paths"] = [_NAMED.name]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs once it has listed the files of `docs/`."""
    notebook = json.loads((ROOT / "docs" / "tour.ipynb").read_text(encoding="utf-8"))
    for name, content in {"tour.md": tour_page(notebook), "commands.md": commands_page()}.items():
        files.append(File.generated(config, name, content=content))
    return files


def tour_page(notebook: dict[str, Any]) -> str:
    """The notebook's cells in order: prose as it is, code between fences."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"]).strip()
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.insert(1, "This page is a notebook, [tour.ipynb](tour.ipynb), which the tests run.")
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """What `--help` says, of every command."""
    from latentvlm.app.cli import app

    parts = ["# Command line", HEAD]
    for name, command in walk(typer.main.get_command(app), "latentvlm"):
        parts.append(describe(name, command))
    return "\n\n".join(parts) + "\n"


def walk(command: Any, name: str) -> list[tuple[str, Any]]:
    """A command, or those of a group, with their full names."""
    if not hasattr(command, "commands"):
        return [(name, command)]
    return [
        each
        for key, part in command.commands.items()
        if not part.hidden
        for each in walk(part, f"{name} {key}")
    ]


def describe(name: str, command: Any) -> str:
    """One command: its help, and a table of its arguments and options."""
    lines = [f"## {name}", cell_free(command.help or "")]
    rows = []
    for param in command.params:
        if param.name == "help" or getattr(param, "hidden", False):
            continue
        spelled = ", ".join(f"`{each}`" for each in (*param.opts, *param.secondary_opts))
        if param.param_type_name == "argument":
            spelled = f"`{param.metavar or param.name.upper()}`"
        rows.append(f"| {spelled} | {in_cell(getattr(param, 'help', None) or '')} |")
    if rows:
        lines.append("\n".join(["| option | what it does |", "| --- | --- |", *rows]))
    return "\n\n".join(lines)


def cell_free(text: str) -> str:
    """Help text as Markdown: an example becomes code."""
    lines = [line.strip() for line in text.replace("\b", "").strip().splitlines()]
    return "\n".join(
        f"`{line.removeprefix('Example: ')}`" if line.startswith("Example: ") else line
        for line in lines
    )


def in_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
