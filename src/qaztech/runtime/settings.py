"""Settings of a process: one TOML file, overridden by `QAZTECH_…` variables, read once, unknown keys refused.

This is the only place that looks at the environment. A settings class is a msgspec struct; its field names are keys,
nested structs are tables, and `QAZTECH_LINK_PORT=1` sets `port` in the table `link`.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from qaztech.core.errors import Malformed, NotFound

PREFIX = "QAZTECH_"
S = TypeVar("S", bound=msgspec.Struct)


def read_settings(path: Path, kind: type[S]) -> S:
    """The settings in a file, with what the environment overrides. Raises `NotFound` and `Malformed`."""
    try:
        text = path.read_text()
    except FileNotFoundError as exc:
        raise NotFound("settings.missing", f"no settings file at {path}") from exc
    try:
        values = tomllib.loads(text)
        _override(values, kind, dict(os.environ))  # noqa: TID251  # the one place
        return msgspec.convert(values, kind, strict=False)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise Malformed("settings.malformed", f"{path}: {exc}") from exc


def _override(values: dict[str, Any], kind: type[msgspec.Struct], environment: dict[str, str], path: str = "") -> None:
    for field in msgspec.structs.fields(kind):
        name = f"{path}{field.encode_name}"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            table = values.setdefault(field.encode_name, {})
            if isinstance(table, dict):
                _override(table, field.type, environment, f"{name}_")
            if not table:
                del values[field.encode_name]
        elif (value := environment.get(PREFIX + name.upper())) is not None:
            values[field.encode_name] = value


def home_directory(given: str | None) -> Path:
    """Where an embedded instance lives: as given, else `QAZTECH_HOME`, else `~/.qaztech`."""
    chosen = given or os.environ.get(PREFIX + "HOME")  # noqa: TID251  # the one place
    return Path(chosen).expanduser().resolve() if chosen else Path.home() / ".qaztech"


def child_environment() -> dict[str, str]:
    """The environment for a program started by ours: as it is, less our own overrides."""
    return {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}  # noqa: TID251  # the one place
