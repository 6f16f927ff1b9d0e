"""The anchor: the one small file that everything is checked against (docs/formats/anchor.md).

It holds the first root of The Update Framework, the registry log's keys, the witness policy, and the timestamping
authorities. It is handed over out of band and compared by fingerprint; nothing here can vouch for it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from qaztech.core.errors import Error, Malformed
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.policy import Policy
from qaztech.registry.forms import Form, check_time, decode, encode, malformed
from qaztech.registry.member_file import check_vkeys

TYPE = "qaztech-anchor 1"
MAX_ANCHOR = 256 * 1024
_CODE = "anchor.malformed"


class LogKeys(Form, frozen=True, forbid_unknown_fields=True):
    """A log by origin, with its verifier keys."""

    origin: str
    vkeys: tuple[str, ...]


class AnchorForm(Form, frozen=True, forbid_unknown_fields=True):
    """The anchor's JSON."""

    type: str
    instance: str
    root: str
    registry_log: LogKeys
    policy: str
    tsas: tuple[str, ...]
    issued: int


@dataclass(frozen=True, eq=False)
class Anchor:
    """A parsed anchor. Trust in it is the reader's decision, helped by `fingerprint`."""

    data: bytes
    instance: str
    root: bytes
    log_origin: str
    log_keys: tuple[VerifierKey, ...]
    policy: Policy
    tsas: tuple[bytes, ...]
    issued: int

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the file in groups of four hex digits, to be read aloud or compared on paper."""
        return fingerprint(self.data)


def fingerprint(data: bytes) -> str:
    """SHA-256 of an anchor file's bytes in groups of four hex digits."""
    digest = sha256(data).hexdigest()
    return " ".join(digest[i : i + 4] for i in range(0, 64, 4))


def make_anchor(
    *,
    instance: str,
    root: bytes,
    log_origin: str,
    log_vkeys: tuple[str, ...],
    policy: bytes,
    tsas: tuple[bytes, ...] = (),
    issued: int,
) -> bytes:
    """The bytes of an anchor file."""
    form = AnchorForm(
        type=TYPE,
        instance=instance,
        root=b64encode(root).decode(),
        registry_log=LogKeys(origin=log_origin, vkeys=log_vkeys),
        policy=policy.decode(),
        tsas=tuple(b64encode(tsa).decode() for tsa in tsas),
        issued=issued,
    )
    data = encode(form)
    parse_anchor(data)
    return data


def parse_anchor(data: bytes) -> Anchor:
    """Read an anchor; raises `Malformed`."""
    form = decode(AnchorForm, data, code=_CODE, limit=MAX_ANCHOR)
    if form.type != TYPE:
        malformed(_CODE, f"the type is not {TYPE!r}")
    check_time(form.issued, _CODE)
    try:
        return Anchor(
            data=data,
            instance=form.instance,
            root=_bytes(form.root),
            log_origin=form.registry_log.origin,
            log_keys=check_vkeys(form.registry_log.origin, form.registry_log.vkeys, _CODE),
            policy=Policy.parse(form.policy.encode()),
            tsas=tuple(map(_bytes, form.tsas)),
            issued=form.issued,
        )
    except Error as exc:
        raise Malformed(_CODE, exc.detail, at="registry") from exc


def _bytes(text: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError as exc:
        raise Malformed(_CODE, "not base64", at="registry") from exc
    if b64encode(data).decode() != text:
        malformed(_CODE, "not canonical base64")
    return data
