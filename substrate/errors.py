"""The errors a user can meet: each says who, what, and the way out."""

from typing import Any


class SubstrateError(Exception):
    """Base of every error this package raises on purpose."""


class NetworkError(SubstrateError):
    """A network, line or node is described in a way that cannot exist."""


class CompileError(SubstrateError):
    """A network cannot be stepped with the given time step."""


class ConfigError(SubstrateError):
    """An input file or option is wrong."""


class DataError(SubstrateError):
    """A data set cannot be used as given."""


class RunFileError(SubstrateError):
    """A run file cannot be written, read or resumed."""


class BackendError(SubstrateError):
    """A backend is unknown or cannot run here."""


class DivergenceError(SubstrateError):
    """The waves or parameters of a run grew beyond any physical bound; ``traces`` is what it had recorded, if
    anything."""

    traces: Any = None
