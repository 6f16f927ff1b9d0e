"""Changing the services in a node's `node.toml` without touching the rest: comments and order stay as they are.

The text is changed line by line and then read again; unless it says exactly what it should, nothing is changed. For the
member whose console stands on its node's machine. What the keys mean is in `node.settings`.
"""

from __future__ import annotations

import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

from qaztech.core.errors import Conflict, Malformed
from qaztech.registry.files import replace_file

MAX_SETTINGS = 1024 * 1024
_HEADER = re.compile(r"\s*\[")
_SERVICES = re.compile(r"\s*\[\[\s*services\s*\]\]\s*(#.*)?\Z")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


def services_in(path: Path) -> dict[str, dict[str, Any]]:
    """The services a node is told of, by identifier. Raises `Conflict` where the file cannot be read."""
    services = _parsed(_text(path)).get("services", [])
    return {str(each.get("id")): each for each in services if isinstance(each, dict)}


def set_service(path: Path, service: str, **values: str) -> None:
    """Give a service these values (`url`, `openapi`), adding it where it is not there. Raises `Conflict`."""
    text = _text(path)
    changed = with_service(text, service, values)
    if changed != text:
        replace_file(path, changed.encode())


def with_service(text: str, service: str, values: dict[str, str]) -> str:
    """The settings' text with these values for a service; raises `Conflict` where that cannot be done safely."""
    before = _parsed(text)
    if '"""' in text or "'''" in text:
        raise _unable("it has texts of several lines")
    lines = text.splitlines()
    span = _block(lines, service)
    if span is None:
        block = ["", "[[services]]", _line("id", service), *(_line(k, v) for k, v in values.items())]
        lines += block
    else:
        start, end = span
        lines[start:end] = _changed(lines[start:end], values)
    result = "\n".join(lines) + "\n"
    if _parsed(result) != _expected(before, service, values):
        raise _unable("its services are written in a way that is not known here")
    return result


def lines_to_add(service: str, values: dict[str, str]) -> str:
    """What to put into a `node.toml` by hand, where the node is on another machine."""
    return "\n".join(["[[services]]", _line("id", service), *(_line(k, v) for k, v in values.items())])


def _expected(before: dict[str, Any], service: str, values: dict[str, str]) -> dict[str, Any]:
    known = before.get("services", [])
    if not isinstance(known, list) or not all(isinstance(each, dict) for each in known):
        raise _unable("its services are written in a way that is not known here")
    services = [dict(each) for each in known]
    mine = [each for each in services if each.get("id") == service]
    if mine:
        mine[0].update(values)
    else:
        services.append({"id": service, **values})
    return {**before, "services": services}


def _block(lines: list[str], service: str) -> tuple[int, int] | None:
    """The lines of a service's table, its header included."""
    headers = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    for start, end in pairwise([*headers, len(lines)]):
        if _SERVICES.match(lines[start]) and _parsed("\n".join(lines[start + 1 : end])).get("id") == service:
            return start, end
    return None


def _changed(block: list[str], values: dict[str, str]) -> list[str]:
    left = dict(values)
    result = []
    for line in block:
        match = _KEY.match(line)
        key = match[1] if match else ""
        result.append(_line(key, left.pop(key)) if key in left else line)
    end = len(result)
    while end > 1 and not result[end - 1].strip():
        end -= 1
    return [*result[:end], *(_line(key, value) for key, value in left.items()), *result[end:]]


def _line(key: str, value: str) -> str:
    # A JSON string is a basic string of TOML, save for escaped characters beyond the first plane and DEL.
    if not value.isprintable():
        raise Malformed("console.node-settings", "a setting is one line of printable characters", at="caller")
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_SETTINGS:
            raise _unable("it is too long")
        return data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise _unable("it cannot be read") from exc


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise _unable("it is not TOML") from exc


def _unable(why: str) -> Conflict:
    return Conflict("console.node-settings", f"the node's settings are not changed: {why}", at="caller")
