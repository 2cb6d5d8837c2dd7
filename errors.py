"""Every error LatentVLM raises on purpose.

    LatentVLMError
    ├── InputError (ValueError)          what the caller handed in
    │   ├── MediaError                   a file, page or frame that cannot be read
    │   ├── PromptError                  a question or conversation that cannot be asked
    │   └── FusionError                  visual tokens and placeholders that do not match
    ├── ConfigError (ValueError)         a configuration value or key
    ├── CheckpointError (ValueError)     a checkpoint folder, shard or tensor
    ├── ExportError (RuntimeError)       an export whose proof does not hold
    ├── DataError (ValueError)           a training shard, record or loader position
    ├── BackendError (RuntimeError)      a backend that cannot do what was asked of it
    ├── BusyError (RuntimeError)         a queue that is full, or an engine that was closed
    └── MissingDependencyError (ImportError)   an optional part that is not installed

Each message is one sentence that names the file, page, frame or key and, where there
is one, the way out.
"""


class LatentVLMError(Exception):
    """Base of every error raised on purpose.

    Example:
        ```python
        import latentvlm

        try:
            latentvlm.load().ask("What is the total?", "missing.png")
        except latentvlm.LatentVLMError as error:
            print(error)  # one sentence that names the file
        ```
    """


class InputError(LatentVLMError, ValueError):
    """Something the caller handed in cannot be used."""


class MediaError(InputError):
    """A media file, page or frame cannot be read."""


class PromptError(InputError):
    """A question or a conversation cannot be asked."""


class FusionError(InputError):
    """The number of visual tokens differs from the number of placeholders."""


class ConfigError(LatentVLMError, ValueError):
    """A configuration key or value is wrong."""


class CheckpointError(LatentVLMError, ValueError):
    """A checkpoint folder, shard or tensor is wrong."""


class ExportError(LatentVLMError, RuntimeError):
    """An export was not written, for its proof does not hold."""


class DataError(LatentVLMError, ValueError):
    """A training shard, record or loader position is wrong."""


class BackendError(LatentVLMError, RuntimeError):
    """A backend cannot do what was asked of it."""


class BusyError(LatentVLMError, RuntimeError):
    """An engine takes no more requests now."""


class MissingDependencyError(LatentVLMError, ImportError):
    """An optional part of LatentVLM needs a package that is not installed."""
