"""Pins: under which lineage, keys and version this node knows each member, remembered for good.

The first contact is protected by the registry and its witnessed log; from then on a member's key protects itself, and
whoever holds the registry cannot put another in its place. Own members' lineages come from the node's settings.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path

import msgspec

from qaztech.core.errors import Malformed, Untrusted
from qaztech.core.ids import MemberId
from qaztech.registry.files import replace_file
from qaztech.registry.member_file import MemberFile


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this node holds a member to."""

    lineage: str
    keys: tuple[str, ...]
    version: int
    digest: str
    order: int
    """Who was pinned first is believed first, where two claim one TLS key or log."""


class Pins:
    """The pins of one node, in one file that is replaced whole."""

    def __init__(self, path: Path, own: Mapping[MemberId, str]) -> None:
        self._path = path
        self._own = dict(own)
        self._pins: dict[str, Pin] = {}
        self._changed = False
        if path.exists():
            try:
                self._pins = msgspec.json.decode(path.read_bytes(), type=dict[str, Pin])
            except msgspec.DecodeError as exc:
                # Going on without them would trust whoever the registry names next.
                raise Malformed("pins.malformed", f"{path} is damaged: restore it, or remove it to pin anew") from exc

    def members(self) -> list[MemberId]:
        """Every member that is pinned."""
        return [MemberId.parse(text) for text in self._pins]

    def knows(self, member: MemberId) -> bool:
        """Whether a member is pinned."""
        return str(member) in self._pins

    def order(self, member: MemberId) -> int:
        """Own members come first, then the others as they were pinned."""
        if member in self._own:
            return -1
        pin = self._pins.get(str(member))
        return pin.order if pin is not None else len(self._pins)

    def check(self, file: MemberFile) -> None:
        """Hold a member to its pin, or pin it at first use; durable after `save`. Raises `Untrusted`."""
        own = self._own.get(file.member)
        if own is not None and own != file.lineage:
            raise Untrusted("member-file.lineage", f"{file.member} is shown with a lineage not its own", at="registry")
        id_ = str(file.member)
        pin = self._pins.get(id_)
        if pin is not None:
            _hold(pin, file)
        new = Pin(
            lineage=file.lineage,
            keys=tuple(b64encode(key).decode() for key in file.keys),
            version=file.version,
            digest=file.digest,
            order=pin.order if pin is not None else max((p.order for p in self._pins.values()), default=0) + 1,
        )
        if new != pin:
            self._pins[id_] = new
            self._changed = True

    def forget(self, member: MemberId) -> None:
        """Drop a pin, so that the next file is a first contact: for an operator who has checked a new lineage."""
        if self._pins.pop(str(member), None) is not None:
            self._changed = True

    def save(self) -> None:
        """Make all pins durable, before anything is decided by them."""
        if self._changed:
            replace_file(self._path, msgspec.json.encode(dict(sorted(self._pins.items()))))
            self._changed = False


def _hold(pin: Pin, file: MemberFile) -> None:
    if file.lineage != pin.lineage:
        raise Untrusted("member-file.lineage", f"{file.member} is shown with another lineage", at="registry")
    if file.version < pin.version:
        raise Untrusted(
            "member-file.version", f"{file.member}: version {file.version} after {pin.version}", at="registry"
        )
    if file.version == pin.version and file.digest != pin.digest:
        raise Untrusted("member-file.version", f"{file.member} has two files of version {pin.version}", at="registry")
    if file.keys[: len(pin.keys)] != tuple(map(b64decode, pin.keys)):
        raise Untrusted("member-file.lineage", f"{file.member}: the key history is not the one known", at="registry")
