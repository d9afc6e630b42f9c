"""Devices that a user wrote in a file of their own: `model = "mydevices.py:MyDevice"` in a training file."""

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devices.device import Device
from devices.models import nearest
from substrate.errors import ConfigError


@dataclass(frozen=True)
class UserDevice:
    """A device class from a user's file, and the SHA-256 of that file."""

    device_class: type[Device]
    sha256: str


def user_device(text: str, where: str, base_dir: Path) -> UserDevice:
    """The class that `path.py:Class` names; the path starts at `base_dir`. The file is run. Raises ConfigError."""
    file, _, name = text.rpartition(":")
    path = base_dir / file
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{where}.model: {path} cannot be read ({error.strerror or error})") from None
    digest = hashlib.sha256(raw).hexdigest()
    # dataclasses look their module up by name, and two files of one name must not meet
    module_name = f"user_devices_{path.stem}_{digest[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{where}.model: running {path} fails: {type(error).__name__}: {error}") from error
    found: Any = getattr(module, name, None)
    classes = [key for key, value in vars(module).items() if _is_device(value) and value.__module__ == module_name]
    if not _is_device(found):
        known = ", ".join(classes) or "none"
        raise ConfigError(
            f"{where}.model: {path} has no device {name!r}{nearest(name, classes)}; devices there: {known}"
        )
    if "__dataclass_fields__" not in vars(found):
        raise ConfigError(
            f"{where}.model: {name} must be a dataclass: put @dataclass(frozen=True) above its class line"
        )
    return UserDevice(found, digest)


def _is_device(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Device) and value is not Device
