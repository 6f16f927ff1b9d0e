"""The instance as the page sees it: who is in it and where it is asked, from the instance's `country.json`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from qaztech.core.errors import Malformed, NotFound

CODE = "country.malformed"


class Names(msgspec.Struct, frozen=True):
    """A name in the three languages."""

    kk: str
    ru: str
    en: str

    def of(self, language: str) -> str:
        """The name in a language of the page."""
        return {"kk": self.kk, "ru": self.ru}.get(language, self.en)


class NodePlace(msgspec.Struct, frozen=True):
    """A node: whose it is, and where it answers."""

    name: str
    member: str
    names: Names
    management: str
    edge: str | None = None
    system: str = ""
    token: str | None = None


class WitnessPlace(msgspec.Struct, frozen=True):
    """A witness, and who runs it."""

    name: str
    url: str = ""
    run_by: str = ""


class SystemPlace(msgspec.Struct, frozen=True):
    """An information system that answers calls: its service, if it is known."""

    name: str
    url: str = ""
    service: str = ""


class Calls(msgspec.Struct, frozen=True):
    """Three lines to paste into a terminal."""

    curl: str
    receipt: str
    verify: str


class Country(msgspec.Struct, frozen=True):
    """An instance. Fields of the file that the page has no use for are passed over."""

    instance: str
    registry: str
    anchor: str
    nodes: tuple[NodePlace, ...]
    portal: str = ""
    witnesses: tuple[WitnessPlace, ...] = ()
    systems: tuple[SystemPlace, ...] = ()
    # How often the portal looks at the registry.
    refresh_seconds: float = 20.0
    try_: Calls | None = msgspec.field(name="try", default=None)

    def node(self, name: str) -> NodePlace:
        """A node by name; raises `NotFound`."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise NotFound("node.unknown", "there is no node of that name in this instance", at="caller")

    def provides(self, node: NodePlace) -> tuple[SystemPlace, ...]:
        """The systems behind a node: those whose services are its member's."""
        return tuple(s for s in self.systems if s.service.startswith(f"{node.member}/"))


def read_country(path: Path) -> Country:
    """The instance in a file; raises `NotFound` or `Malformed`."""
    try:
        return parse_country(path.read_bytes())
    except OSError as exc:
        raise NotFound("country.none", f"there is no instance at {path}") from exc


def parse_country(data: bytes) -> Country:
    """The instance in these bytes; raises `Malformed`."""
    try:
        country = msgspec.json.decode(data, type=Country)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed(CODE, f"not the file of an instance: {str(exc)[:200]}") from exc
    for url in (country.registry, *(node.management for node in country.nodes)):
        if urlsplit(url).scheme != "http" or not urlsplit(url).hostname:
            raise Malformed(CODE, f"the page asks over http, and this is no such address: {url[:200]}")
    return country


@dataclass(frozen=True, slots=True)
class Call:
    """What the curl line shown on the page does: a GET with these headers."""

    url: str
    headers: Mapping[str, str]


def call_of(line: str) -> Call | None:
    """The call a curl line makes; None unless it is a plain GET to this machine."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    urls, headers, rest = [], {}, iter(words[1:])
    for word in rest:
        if word in {"-H", "--header"}:
            name, _, value = next(rest, "").partition(":")
            headers[name.strip()] = value.strip()
        elif word.startswith("http://"):
            urls.append(word)
        elif word not in {"-i", "-s", "-sS", "-f", "-g", "--fail", "--include", "--silent"}:
            return None
    if words[:1] != ["curl"] or len(urls) != 1 or urlsplit(urls[0]).hostname not in {"127.0.0.1", "localhost", "::1"}:
        return None
    return Call(urls[0], headers)
