"""Taking keys out of a foreign `config.json`: read, known and unread, or unknown.

Everything that is not read is kept and written back. Keys the format has but this project
has no use for are kept quietly; any other is named in one warning, or in an error if the
caller is strict.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ..config import MOST_LAYERS, LanguageConfig

# Written by transformers into any configuration, or rewritten with every save.
GENERIC = frozenset(
    [
        "architectures",
        "auto_map",
        "model_type",
        "transformers_version",
        "torch_dtype",
        "dtype",
        "_name_or_path",
        "return_dict",
        "output_hidden_states",
        "output_attentions",
        "chunk_size_feed_forward",
        "use_cache",
        "is_encoder_decoder",
        "id2label",
        "label2id",
        "problem_type",
        "_attn_implementation",
        "_experts_implementation",
        "attn_implementation",
        "experts_implementation",
        "_attn_implementation_autoset",
        "torchscript",
    ]
)


MOST = 2**31 - 1  # of a whole number in a configuration


class Keys:
    """One JSON object of a configuration, emptied as its keys are taken."""

    def __init__(self, values: Mapping[str, Any], *, where: str) -> None:
        """`where` names the object in messages, `config.json` or `config.json: text_config`."""
        self.where = where
        self._values = {key: value for key, value in values.items() if key not in GENERIC}
        self._read: list[str] = []
        self._aliases: dict[str, str] = {}

    def take(self, key: str, default: Any = None, *, aliases: Iterable[str] = ()) -> Any:
        """The value of the key or of its first alias there; null counts as absent.

        Raises:
            ConfigError: the value is of another kind than the default.
        """
        found = default
        for name in [*aliases, key]:  # the key itself wins, so it comes last
            self._read.append(name)
            value = self._values.pop(name, None)
            if value is not None:
                found = self.checked(name, value, default)
                self._aliases[key] = name
        return found

    def checked(self, key: str, value: Any, default: Any) -> Any:
        """The value, if it is of the default's kind.

        Raises:
            ConfigError: it is not.
        """
        kind = type(default)
        if isinstance(value, dict) and set(value) == {"__float__"}:
            value = float(value["__float__"])  # how transformers writes infinity
        if isinstance(value, int | float) and not isinstance(value, bool):
            if kind is float:
                return value
            if kind is int and float(value).is_integer():
                return self._bounded(key, int(value))
        if kind in (list, tuple) and isinstance(value, (list, tuple)):
            return [self.checked(key, each, default[0]) if default else each for each in value]
        if default is None or (isinstance(value, kind) and kind is not int):
            return value
        raise ConfigError(f"{self.where} has {key} {value!r}, which is no {kind.__name__}.")

    def _bounded(self, key: str, value: int) -> int:
        most = MOST_LAYERS if key == "num_hidden_layers" else MOST
        if value > most:
            raise ConfigError(f"{self.where} has {key} {value}; more than {most} is not read.")
        return value

    @contextmanager
    def spelling(self, names: Mapping[str, str] | None = None) -> Iterator[None]:
        """An error inside says where the values come from, and names their keys as they do.

        Args:
            names: a key of ours to the key of the format, where they differ.
        """
        names = {**(names or {})}
        words = {ours: self._aliases.get(theirs, theirs) for ours, theirs in names.items()}
        words = {**self._aliases, **words}
        try:
            yield
        except ConfigError as error:
            if str(error).startswith(self.where):
                raise
            said = re.sub(r"\w+", lambda word: words.get(word[0], word[0]), str(error))
            raise ConfigError(f"{self.where}: {said}") from error

    def require(self, key: str, only: Iterable[Any]) -> None:
        """Take a key that may be absent but has no other value than these.

        Raises:
            ConfigError: it has.
        """
        value = self.take(key)
        if value is not None and value not in tuple(only):
            wanted = " or ".join(repr(each) for each in only)
            raise ConfigError(f"{self.where} has {key} {value!r}; only {wanted} is supported.")

    def rest(self, *, known: Iterable[str], strict: bool) -> dict[str, Any]:
        """What was not taken, to be written back; keys not `known` are warned of.

        Raises:
            ConfigError: `strict`, and there is such a key.
        """
        known = set(known)
        foreign = sorted(set(self._values) - known)
        if foreign and strict:
            key = foreign[0]
            near = get_close_matches(key, [*self._read, *known], n=1)
            hint = f"; the nearest known one is {near[0]}" if near else ""
            raise ConfigError(f"{self.where} has the unknown key {key}{hint}.")
        if foreign:
            warnings.warn(
                f"{self.where} has keys that nothing here reads: {', '.join(foreign)}; "
                "they are kept and written back.",
                stacklevel=2,
            )
        return dict(self._values)


@contextmanager
def path_in_errors(path: Path) -> Iterator[None]:
    """An error inside names the whole path of the `config.json` that is read."""
    try:
        yield
    except ConfigError as error:
        said = str(error)
        is_named = said.startswith(path.name)
        where = f"{path}{said.removeprefix(path.name)}" if is_named else f"{path}: {said}"
        raise ConfigError(where) from error


def take_or_auto(keys: Keys, key: str, usual: int) -> int:
    """A size that may be absent or "auto", which both mean the usual one.

    Raises:
        ConfigError: it is no whole number.
    """
    value = keys.take(key)
    return usual if value in (None, "auto") else keys.checked(key, value, usual)


def read_eos(keys: Keys) -> int | tuple[int, ...]:
    """The end token, or several."""
    eos = keys.take("eos_token_id")
    return tuple(eos) if isinstance(eos, list) else 2 if eos is None else eos


def write_eos(config: LanguageConfig) -> int | list[int] | None:
    """The end token, or several, as JSON has them."""
    eos = config.eos_token_id
    return list(eos) if isinstance(eos, tuple) else eos


def check_writable(config: LanguageConfig, *, family: str, **fixed: Any) -> None:
    """Refuse to write what a family's format has no word for.

    Args:
        fixed: keys of `config` and the one value of each that the format stands for.

    Raises:
        ConfigError: a key has another value.
    """
    for key, value in fixed.items():
        if getattr(config, key) != value:
            raise ConfigError(
                f"{key} is {getattr(config, key)!r}, which a checkpoint of the family {family} "
                f"cannot say; it must be {value!r}."
            )
