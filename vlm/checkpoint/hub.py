"""A folder or the id of a hub repository, to a folder: fetched once, kept in the hub's cache.

Only what a model is made of is fetched, by name: never pickled weights, never code.
`HF_HUB_OFFLINE`, `HF_ENDPOINT`, `HF_HOME` and a stored token are respected, as everywhere.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from .save import COMPANION_FILES

WEIGHTS = "*.safetensors"
FILES = (
    "config.json",
    "hf_quant_config.json",
    "chat_template.json",
    "*.safetensors.index.json",
    *COMPANION_FILES,
)
_IN_FOLDERS = "*/*"  # copies in other formats, under other names
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a model came from.

    Attributes:
        folder: its files.
        hub_id, commit: its repository, and the commit that was fetched; None for a folder.
    """

    folder: Path
    hub_id: str | None = None
    commit: str | None = None

    def __str__(self) -> str:
        return f"{self.hub_id}@{self.commit}" if self.hub_id else str(self.folder)


def find_source(name: str | Path, *, revision: str | None = None, weights: bool = True) -> Source:
    """The folder of that name, or else the hub's repository with that id.

    Args:
        name: a folder, or `owner/name`.
        revision: branch, tag or commit of a repository; None is its main branch.
        weights: fetch them too; else they are only there if they were fetched before.

    Raises:
        CheckpointError: there is neither, or it cannot be fetched; the message says why.
    """
    if not isinstance(name, str | os.PathLike):
        raise CheckpointError(f"{name!r} is neither the path of a folder nor a repository's id.")
    folder = Path(name).expanduser()
    if os.path.isdir(folder):  # Path.is_dir raises for a name too long to be one
        if revision is not None:
            raise CheckpointError(
                f"{folder} is a folder, which has no revision {revision!r}; leave it out."
            )
        return Source(folder=folder)
    if isinstance(name, Path) or not _ID.fullmatch(name):
        raise CheckpointError(
            f"{name} is not a folder, which a checkpoint is, nor the id of a repository on the "
            "hub, which looks like owner/name."
        )
    fetched = _fetch(name, revision, [*FILES, WEIGHTS] if weights else list(FILES))
    return Source(folder=fetched, hub_id=name, commit=fetched.name)


def _fetch(hub_id: str, revision: str | None, files: list[str]) -> Path:
    import huggingface_hub

    with said_in_words(hub_id, revision):
        found = huggingface_hub.snapshot_download(
            hub_id, revision=revision, allow_patterns=files, ignore_patterns=[_IN_FOLDERS]
        )
    return Path(found)


@contextmanager
def said_in_words(hub_id: str, revision: str | None) -> Iterator[None]:
    """Whatever goes wrong with a repository inside becomes a CheckpointError that says what."""
    from huggingface_hub import errors

    at = f" at revision {revision!r}" if revision else ""
    # Its HTTP client's own errors: which client that is differs by version.
    of_client: Any = errors.HfHubHTTPError.__bases__
    try:
        yield
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{hub_id} is gated: accept its terms on its page and log in with `hf auth login`."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"There is no repository {hub_id} on the hub, or it is private and you are not "
            "logged in; nor is there a folder of that name."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"The repository {hub_id} has no revision {revision!r}.") from error
    except errors.LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{hub_id}{at} is not in the local cache, and the hub cannot be reached "
            f"({_why_not()}); there is no folder of that name either."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise CheckpointError(
            f"The weights of {hub_id}{at} are not in the local cache, and their headers cannot be "
            f"fetched ({_why_not()})."
        ) from error
    except errors.SafetensorsParsingError as error:
        raise CheckpointError(f"{hub_id}{at} has weights that cannot be read: {error}.") from error
    except (OSError, ValueError, *of_client) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise CheckpointError(f"{hub_id}{at} cannot be fetched from the hub: {reason}.") from error


def _why_not() -> str:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    return f"no connection to {constants.ENDPOINT}"
