"""What a member must know of a node to name it in its member file: its id, its TLS keys, its log and the one before.

The file `node.json`, which the node's commands write and whoever keeps the member key reads. Nothing in it is secret;
that it is the right one is for people to see to: it travels from the node to the desk by their hands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from qaztech.core.errors import Error, Malformed, NotFound
from qaztech.core.ids import NodeId
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.state import ClosedLog
from qaztech.registry.forms import Form, base64, bytes32
from qaztech.registry.key_files import create_log_keys, create_tls_key, load_log_keys, tls_key_hash
from qaztech.registry.member_file import check_vkeys
from qaztech.trust.certificates import key_spki_hash, load_key

NODE_FILE = "node.json"
# A TLS key that will take the place of the one in use: until then the member names both.
NEXT_TLS_KEY = "tls.next.key"
TYPE = "qaztech-node 1"
_CODE = "node-identity.malformed"
_MAX = 64 * 1024


class _ClosedForm(Form, frozen=True, forbid_unknown_fields=True):
    origin: str
    size: int
    root: str
    reason: str


class _NodeForm(Form, frozen=True, forbid_unknown_fields=True):
    type: str
    id: str
    address: str
    tls: str
    log: tuple[str, ...]
    continues: _ClosedForm | None
    next_tls: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """A node as its member names it. `tls` is the SHA-256 of its TLS key (SPKI), `log` the keys of its log.

    `next_tls` is the key that it will change to, if it will.
    """

    id: NodeId
    address: str
    tls: bytes
    log: tuple[VerifierKey, ...]
    continues: ClosedLog | None = None
    next_tls: bytes | None = None

    @classmethod
    def create(cls, directory: Path, node: NodeId, address: str, *, hybrid: bool) -> NodeIdentity:
        """Make the keys of a node that are not there yet, and the request for its certificate."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        create_tls_key(directory, node)
        create_log_keys(directory, node.member.instance, hybrid=hybrid)
        made = cls.of(directory, node, address)
        if (directory / NODE_FILE).exists():
            before = cls.read(directory)
            if before.log == made.log:
                return replace(made, continues=before.continues)
        return made

    @classmethod
    def of(cls, directory: Path, node: NodeId, address: str, continues: ClosedLog | None = None) -> NodeIdentity:
        """The node whose keys are in the folder."""
        keys = load_log_keys(directory, node.member.instance)
        path = directory / NEXT_TLS_KEY
        return cls(
            id=node, address=address, tls=tls_key_hash(directory), log=keys.vkeys, continues=continues,
            next_tls=key_spki_hash(load_key(path.read_bytes())) if path.exists() else None,
        )  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> NodeIdentity:
        """From a `node.json`, or from a node's folder that holds one. Raises `NotFound` and `Malformed`."""
        file = path / NODE_FILE if path.is_dir() else path
        try:
            data = file.read_bytes()
        except FileNotFoundError as exc:
            raise NotFound("node-identity.missing", f"there is no {file}; `qaztech node new` writes one") from exc
        return cls.parse(data)

    @classmethod
    def parse(cls, data: bytes) -> NodeIdentity:
        """From the bytes of a `node.json`; raises `Malformed`."""
        try:
            if len(data) > _MAX:
                raise Malformed(_CODE, "too long")
            form = msgspec.json.decode(data, type=_NodeForm)
            if form.type != TYPE or not form.log:
                raise Malformed(_CODE, f"the type is not {TYPE!r}, or there is no log")
            return cls(
                id=NodeId.parse(form.id),
                address=form.address,
                tls=bytes32(form.tls, _CODE, "TLS key hash"),
                log=check_vkeys(form.log[0].partition("+")[0], form.log, _CODE),
                continues=_closed(form.continues),
                next_tls=bytes32(form.next_tls, _CODE, "TLS key hash") if form.next_tls is not None else None,
            )
        except (Error, msgspec.DecodeError, UnicodeError, RecursionError) as exc:
            raise Malformed(_CODE, f"not what describes a node: {str(exc)[:200]}") from exc

    def format(self) -> bytes:
        """The bytes of a `node.json`."""
        before = self.continues
        form = _NodeForm(
            type=TYPE,
            id=str(self.id),
            address=self.address,
            tls=base64(self.tls),
            log=tuple(map(str, self.log)),
            continues=_ClosedForm(before.origin, before.size, base64(before.root), before.reason) if before else None,
            next_tls=base64(self.next_tls) if self.next_tls is not None else None,
        )
        return msgspec.json.format(msgspec.json.encode(form), indent=2) + b"\n"


def _closed(form: _ClosedForm | None) -> ClosedLog | None:
    if form is None:
        return None
    return ClosedLog(origin=form.origin, size=form.size, root=bytes32(form.root, _CODE, "root"), reason=form.reason)
