"""The targets about the whole instance: `directory.json`, `instance.json`, `logs.json` (docs/formats/directory.md).

The directory lists who exists, for people and for `listClients`; nothing is decided by it. The instance file carries
the authorities of node certificates, TLS keys the registry has revoked, and settings every node keeps. Both are signed
by the registry alone: they can take a node off the wire, and let nobody in. `logs.json` names the registry's admin
logs, so that witnesses cosign them and anyone can check them; it speaks for nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import MemberId, SubsystemId, decode_part
from qaztech.evidence.note import VerifierKey
from qaztech.registry.forms import Form, Names, bytes32, check_hex, check_time, decode, encode, malformed
from qaztech.registry.member_file import check_vkeys

DIRECTORY = "directory.json"
INSTANCE = "instance.json"
LOGS = "logs.json"
DIRECTORY_TYPE = "qaztech-directory 1"
INSTANCE_TYPE = "qaztech-instance 1"
LOGS_TYPE = "qaztech-logs 1"
MAX_DIRECTORY = 32 * 1024 * 1024
MAX_INSTANCE = 1024 * 1024
MAX_LOGS = 1024 * 1024
MOST_LOGS = 1024


class ListedSubsystem(Form, frozen=True, forbid_unknown_fields=True):
    """A subsystem as the directory shows it."""

    code: str
    names: Names


class ListedMember(Form, frozen=True, forbid_unknown_fields=True):
    """A member as the directory shows it."""

    id: str
    lineage: str
    names: Names
    subsystems: tuple[ListedSubsystem, ...]


class Directory(Form, frozen=True, forbid_unknown_fields=True):
    """Every member that is not suspended, by identifier."""

    type: str
    instance: str
    members: tuple[ListedMember, ...]


class InstanceSettings(Form, frozen=True, forbid_unknown_fields=True):
    """What every node of the instance keeps to, in milliseconds."""

    witnessing_interval: int
    timestamp_interval: int


class InstanceFile(Form, frozen=True, forbid_unknown_fields=True):
    """Authorities of node certificates (PEM), revoked TLS keys (base64 SHA-256 of SPKI), settings."""

    type: str
    instance: str
    authorities: tuple[str, ...]
    revoked_tls: tuple[str, ...]
    settings: InstanceSettings


class AdminLogLine(Form, frozen=True, forbid_unknown_fields=True):
    """An admin log of the registry: its keys; since when it is named, and when it ended (milliseconds)."""

    origin: str
    vkeys: tuple[str, ...]
    since: int
    ended: int | None


class LogsFile(Form, frozen=True, forbid_unknown_fields=True):
    """The registry's admin logs, by origin; at most one of them has not ended."""

    type: str
    instance: str
    admin: tuple[AdminLogLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A member as `listClients` shows it: everyone in the directory, known to this node or not."""

    id: MemberId
    lineage: str
    names: Names
    subsystems: tuple[tuple[SubsystemId, Names], ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """The directory, its identifiers read."""

    members: tuple[Listed, ...]


def member_path(member: MemberId) -> str:
    """The target that holds a member's file. Codes are encoded apart, so two members never share a path."""
    return f"members/{quote(member.member_class, safe='')}/{quote(member.code, safe='')}.json"


def page_path(sha256: str) -> str:
    """The target that holds a rights page."""
    return f"rights/{sha256}.json"


def showcase_path(member: MemberId) -> str:
    """The target that holds a member's showcase."""
    return f"showcases/{quote(member.member_class, safe='')}/{quote(member.code, safe='')}.json"


def description_path(sha256: str) -> str:
    """Where below the registry's URL an OpenAPI document stands that a showcase names by hash."""
    return f"descriptions/{sha256}.json"


def format_directory(instance: str, members: Iterable[ListedMember]) -> bytes:
    """The directory's bytes."""
    listed = tuple(sorted(members, key=lambda m: m.id))
    return encode(Directory(type=DIRECTORY_TYPE, instance=instance, members=listed))


def parse_directory(data: bytes) -> Listing:
    """Read the directory; raises `Malformed`."""
    code = "directory.malformed"
    directory = decode(Directory, data, code=code, limit=MAX_DIRECTORY)
    if directory.type != DIRECTORY_TYPE:
        malformed(code, f"the type is not {DIRECTORY_TYPE!r}")
    try:
        return Listing(tuple(_listed(member, code) for member in directory.members))
    except Error as exc:
        raise Malformed(code, exc.detail, at="registry") from exc


def format_logs(instance: str, admin: Iterable[AdminLogLine]) -> bytes:
    """The bytes of `logs.json`."""
    lines = tuple(sorted(admin, key=lambda line: line.origin))
    data = encode(LogsFile(type=LOGS_TYPE, instance=instance, admin=lines))
    parse_logs(data)
    return data


def open_keys(admin: Iterable[AdminLogLine], origin: str) -> tuple[VerifierKey, ...]:
    """The keys of the admin log that is written now, by its origin; none for any other log."""
    mine = (line for line in admin if line.origin == origin and line.ended is None)
    return next((tuple(map(VerifierKey.parse, line.vkeys)) for line in mine), ())


def parse_logs(data: bytes) -> LogsFile:
    """Read `logs.json`; raises `Malformed`."""
    code = "logs.malformed"
    file = decode(LogsFile, data, code=code, limit=MAX_LOGS)
    if file.type != LOGS_TYPE or len(file.admin) > MOST_LOGS:
        malformed(code, f"the type is not {LOGS_TYPE!r}, or there are more than {MOST_LOGS} logs")
    origins = [line.origin for line in file.admin]
    if origins != sorted(set(origins)) or sum(line.ended is None for line in file.admin) > 1:
        malformed(code, "logs stand once, by origin, and one of them is written")
    for line in file.admin:
        check_vkeys(line.origin, line.vkeys, code)
        for time in (line.since, line.ended):
            if time is not None:
                check_time(time, code)
    return file


def _listed(member: ListedMember, code: str) -> Listed:
    id_ = MemberId.parse(member.id)
    check_hex(member.lineage, code, "lineage")
    member.names.check(code)
    for subsystem in member.subsystems:
        subsystem.names.check(code)
    return Listed(
        id=id_,
        lineage=member.lineage,
        names=member.names,
        subsystems=tuple((SubsystemId(id_, decode_part(s.code)), s.names) for s in member.subsystems),
    )


def parse_instance(data: bytes) -> InstanceFile:
    """Read the instance file; raises `Malformed`."""
    code = "instance.malformed"
    instance = decode(InstanceFile, data, code=code, limit=MAX_INSTANCE)
    if instance.type != INSTANCE_TYPE:
        malformed(code, f"the type is not {INSTANCE_TYPE!r}")
    for revoked in instance.revoked_tls:
        bytes32(revoked, code, "revoked TLS key")
    if instance.settings.witnessing_interval <= 0 or instance.settings.timestamp_interval <= 0:
        malformed(code, "an interval is at least a millisecond")
    return instance
