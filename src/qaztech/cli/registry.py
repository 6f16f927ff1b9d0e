"""`qaztech registry`: found a registry, run it, and decide as its operator."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qaztech.cli import joining
from qaztech.cli.desk import moment
from qaztech.cli.options import (
    add_action,
    add_json,
    add_names,
    add_registry,
    add_yes,
    confirm,
    names_of,
    registry_of,
    tell,
)
from qaztech.cli.running import add_run, serve
from qaztech.core.errors import Conflict, Malformed
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("registry", help="found or run a registry; admit members, issue certificates")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_run(actions, "the registry", "registry.toml", _run)
    _add_init(actions)
    _add_decisions(actions)
    joining.add_registry_actions(actions)
    _add_extend(actions)


def _add_init(actions: Verbs) -> None:
    init = add_action(
        actions, "init", "found a new instance: the registry's keys, authority, log, and the anchor", _init,
        more="It writes everything into one new folder; `registry run` then runs it.",
    )  # fmt: skip
    init.add_argument("directory", type=Path, metavar="DIR", help="a folder that is not there yet")
    init.add_argument("--instance", required=True, metavar="CODE", help="the instance's code, such as KZ")
    init.add_argument("--url", required=True, metavar="URL", help="where nodes reach the registry")
    init.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    init.add_argument("--port", type=int, metavar="N", help="the port to listen on (that of --url)")
    init.add_argument(
        "--witnesses", type=Path, metavar="FILE",
        help="lines `witness`, `group`, `quorum` of a C2SP tlog-policy, from `witness new` (quorum: more than half)",
    )  # fmt: skip
    own = init.add_mutually_exclusive_group()
    own.add_argument("--witness", metavar="KEYNAME", help="key name of the registry's own witness")
    own.add_argument("--no-witness", action="store_true", help="let the registry itself witness nothing")
    init.add_argument(
        "--tsa",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="timestamping authority (PEM); repeatable",
    )
    init.add_argument("--no-hybrid", action="store_true", help="no ML-DSA-44 keys beside the Ed25519 ones")
    init.add_argument(
        "--witnessing-seconds", type=float, default=30.0, metavar="N", help="how often logs are witnessed (30)"
    )
    init.add_argument(
        "--database", default="", metavar="URL",
        help="keep what it decides in PostgreSQL (postgresql+psycopg://…), in a new database (SQLite files in DIR)",
    )  # fmt: skip
    add_json(init)


def _add_decisions(actions: Verbs) -> None:
    admit = _decision(
        actions, "admit", "admit a member", _admit,
        more="Compare the lineage with what the member told you by another way: it is who the member is from now on.",
    )  # fmt: skip
    admit.add_argument("--lineage", required=True, metavar="HEX", help="the member's lineage")
    admit.add_argument("--file", type=Path, metavar="FILE", help="its member-file.json, which says id and names")
    admit.add_argument("--id", metavar="MEMBER", help="its identifier, where there is no --file")
    add_names(admit, required=False)
    for name, help_, run in (
        ("suspend", "take a member out of the configuration: nobody can call it, it can call nobody", _suspend),
        ("resume", "let a suspended member back, as it was", _resume),
    ):
        parser = _decision(actions, name, help_, run)
        parser.add_argument("--id", required=True, metavar="MEMBER", help="its identifier")
        _add_reason(parser)
        if name == "suspend":
            add_yes(parser)
    certificate = _decision(actions, "certificate", "issue the certificate of a node", _certificate)
    certificate.add_argument("--node", required=True, metavar="ID", help="such as KZ/GOV/991340000017/node1")
    certificate.add_argument("--request", type=Path, required=True, metavar="FILE", help="its tls.csr")
    certificate.add_argument("--out", type=Path, metavar="FILE", help="where to write it (standard output)")
    revoke = _decision(actions, "revoke-tls", "take a node's TLS key off the wire for good", _revoke_tls)
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("--tls", metavar="BASE64", help="SHA-256 of the key (SPKI), as the member file names it")
    which.add_argument("--certificate", type=Path, metavar="FILE", help="its certificate (PEM)")
    _add_reason(revoke)
    add_yes(revoke)
    acts = _decision(actions, "acts", "list what was decided by whom: the admin log, newest first", _acts)
    acts.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20, at most 200)")
    acts.add_argument("--before", type=int, metavar="INDEX", help="those before this one")
    _decision(actions, "status", "say what the registry publishes, whom it knows, and what expires", _status)


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; it stands in the admin log for good")


def _add_extend(actions: Verbs) -> None:
    extend = add_action(
        actions, "extend", "keep the country open with the offline keys when the registry is lost", _extend,
        more="Nobody is admitted and nothing is changed by it. See docs/howto/registry-lost.md.",
    )  # fmt: skip
    extend.add_argument("--published", type=Path, required=True, metavar="DIR", help="the newest copy of its tuf/")
    extend.add_argument("--keys", type=Path, required=True, metavar="DIR", help="folder that holds offline/")
    extend.add_argument("--days", type=int, default=14, metavar="N", help="for how long (14, at most 90)")
    add_yes(extend)
    add_json(extend)


def _decision(actions: Verbs, name: str, help_: str, run: Any, *, more: str = "") -> argparse.ArgumentParser:
    parser = add_action(actions, name, help_, run, more=more)
    add_registry(parser)
    add_json(parser)
    return parser


# Founding ----------------------------------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    from qaztech.compose.registry import run_registry  # noqa: PLC0415

    return serve(lambda stop: run_registry(args.settings, stop))


def _init(args: argparse.Namespace) -> int:
    from qaztech.registry.anchor import fingerprint  # noqa: PLC0415  # imports that other verbs need not pay
    from qaztech.registry.directory import InstanceSettings  # noqa: PLC0415
    from qaztech.registry.files import write_file, write_private  # noqa: PLC0415
    from qaztech.registry.founding import OWN_WITNESS, Charter, Founding, policy_lines, with_quorum  # noqa: PLC0415
    from qaztech.registry.key_files import create_cosigner  # noqa: PLC0415

    directory: Path = args.directory
    if directory.exists() and any(directory.iterdir()):
        raise Conflict("registry.exists", f"{directory} is not empty; found the instance in a new folder")
    witness = "" if args.no_witness else args.witness or f"{args.instance.lower()}.qaztech.example/witness/registry"
    given = args.witnesses.read_text(errors="replace") if args.witnesses is not None else ""
    tsas = tuple(_der(path) for path in args.tsa)
    lines = []
    if witness:
        keys = create_cosigner(directory, witness, hybrid=not args.no_hybrid).verifier_keys
        lines = policy_lines(OWN_WITNESS, keys, f"{args.url.rstrip('/')}/witness")
    charter = Charter(
        instance=args.instance,
        witnesses=with_quorum("\n".join([*lines, given])),
        settings=InstanceSettings(witnessing_interval=int(args.witnessing_seconds * 1000), timestamp_interval=600_000),
        tsas=tsas,
        hybrid=not args.no_hybrid,
        bits=9,
    )
    founding = Founding(directory, charter, SystemClock(), database=args.database)
    asyncio.run(founding.publish())
    write_file(directory / "anchor.json", founding.anchor)
    settings = directory / "registry.toml"
    (write_private if args.database else write_file)(settings, _settings(args, witness).encode())
    anchor, told = directory / "anchor.json", fingerprint(founding.anchor)
    warnings = [_NOT_RESTORABLE] if _needs_own_witness(founding.anchor) else []
    return tell(
        args,
        {
            "instance": args.instance, "anchor": str(anchor), "fingerprint": told, "settings": str(settings),
            "warnings": warnings,
        },
        [
            f"instance     {args.instance}",
            f"anchor       {anchor}",
            f"fingerprint  {told}",
            "Give the anchor to every member, and tell the fingerprint by another way.",
            f"Carry {directory / 'keys' / 'offline'} to a place without a network: two of three of each kind sign",
            "once a year, and when the registry is lost.",
            f"Run it:  qaztech registry run --settings {settings}",
            *(f"WARNING  {warning}" for warning in warnings),
        ],
    )  # fmt: skip


_NOT_RESTORABLE = (
    "no quorum of the witnesses can do without the registry's own: if this registry is lost, no backup of it can go on,"
    " and the country needs a new anchor. Before you give the anchor away, found it anew with more witnesses"
    " (--witnesses) or without its own (--no-witness)"
)


def _needs_own_witness(anchor: bytes) -> bool:
    from qaztech.registry.anchor import parse_anchor  # noqa: PLC0415
    from qaztech.registry.founding import OWN_WITNESS  # noqa: PLC0415

    policy = parse_anchor(anchor).policy
    return not policy.satisfied_by(policy.witnesses.keys() - {OWN_WITNESS})


def _settings(args: argparse.Namespace, witness: str) -> str:
    parts = urlsplit(args.url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Malformed("registry.url", f"not an http(s) URL: {args.url!r}")
    port = args.port or parts.port or (443 if parts.scheme == "https" else 80)
    return "\n".join(
        [
            "# The registry. Paths are relative to this file.",
            f"instance = {json.dumps(args.instance)}",
            'directory = "."',
            'anchor = "anchor.json"',
            f"host = {json.dumps(args.host)}",
            f"port = {port}",
            "# Key name of its own witness; empty: it runs none.",
            f"witness = {json.dumps(witness)}",
            "# How often its log is witnessed.",
            f"witnessing_seconds = {args.witnessing_seconds}",
            "# A PostgreSQL database for what it decides and keeps, and for its people; empty: SQLite files here.",
            f"database = {json.dumps(args.database)}",
            "# Whose signatures may bind an organisation to its member key. The test authority beside this file proves",
            "# nothing: replace it before a real organisation applies.",
            'national_test = ["national-test.pem"]',
            "",
        ]
    )


def _der(path: Path) -> bytes:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    except ValueError as exc:
        raise Malformed("certificate.malformed", f"{path} is not a certificate in PEM") from exc


# Decisions ---------------------------------------------------------------------------------------------------------


def _ask(args: argparse.Namespace, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    from qaztech.registry.submitting import manage  # noqa: PLC0415

    url, token = registry_of(args)
    answer: dict[str, Any] = manage(url, token, what, json.dumps(body).encode() if body is not None else None)
    return answer


def _admit(args: argparse.Namespace) -> int:
    from qaztech.registry.member_file import verify_member_file  # noqa: PLC0415

    if args.file is not None:
        file = verify_member_file(args.file.read_bytes())
        if file.lineage != args.lineage:
            raise Conflict(
                "member.lineage-differs",
                f"{args.file} is of lineage {file.lineage}, not of the one given: somebody may have exchanged it",
            )
        id_, names = str(file.member), file.statement.names
    else:
        given = names_of(args)
        if args.id is None or given is None:
            raise Malformed("command.malformed", "give --file, or --id and the names")
        id_, names = str(MemberId.parse(args.id)), given
    asked = {"id": id_, "lineage": args.lineage, "names": {"kk": names.kk, "ru": names.ru, "en": names.en}}
    answer = _ask(args, "members", asked)
    return tell(args, answer, [f"{id_} is admitted; now it can send its member file (qaztech member submit)"])


def _suspend(args: argparse.Namespace) -> int:
    member = str(MemberId.parse(args.id))
    confirm(args, f"{member} will be out of the configuration at once: every exchange with it ends.")
    answer = _ask(args, "suspend", {"member": member, "suspended": True, "reason": args.reason})
    return tell(args, answer, [f"{member} is suspended; `qaztech registry resume` lets it back"])


def _resume(args: argparse.Namespace) -> int:
    member = str(MemberId.parse(args.id))
    answer = _ask(args, "suspend", {"member": member, "suspended": False, "reason": args.reason})
    return tell(args, answer, [f"{member} is back, as it was"])


def _certificate(args: argparse.Namespace) -> int:
    from qaztech.registry.files import write_file  # noqa: PLC0415

    node = str(NodeId.parse(args.node))
    answer = _ask(args, "certificates", {"node": node, "request": args.request.read_text(errors="replace")})
    if args.out is None:
        return tell(args, answer, [answer["certificate"].strip()])
    write_file(args.out, answer["certificate"].encode())
    return tell(args, answer, [f"{args.out} is the certificate of {node}; it goes beside its tls.key, as tls.pem"])


def _revoke_tls(args: argparse.Namespace) -> int:
    from qaztech.registry.forms import base64  # noqa: PLC0415
    from qaztech.trust.certificates import spki_hash  # noqa: PLC0415

    tls = args.tls or base64(spki_hash(_der(args.certificate)))
    confirm(args, f"The TLS key {tls} will never be accepted again; its node needs another.")
    answer = _ask(args, "revoke-tls", {"tls": tls, "reason": args.reason})
    return tell(args, answer, [f"{tls} is revoked; links made with it end now"])


def _acts(args: argparse.Namespace) -> int:
    before = f"&before={args.before}" if args.before is not None else ""
    found: Any = _ask(args, f"acts?limit={args.limit}{before}")
    lines = [
        f"{act['index']:6}  {moment(act['time'])}  {act.get('who', '?'):20} {act.get('act', '?'):22} "
        f"{act.get('subject', '')}"
        for act in found
    ]
    return tell(args, {"acts": found}, lines or ["nothing yet"])


def _status(args: argparse.Namespace) -> int:
    status = _ask(args, "status")
    snapshot = status["snapshot"]
    lines = [
        f"instance  {status['instance']}",
        f"snapshot  {snapshot['version']} {snapshot['sha256']}" if snapshot else "snapshot  none yet",
        f"log       {status['log']['size']} entries",
    ]
    for member in status["members"]:
        state = "suspended" if member["suspended"] else f"version {member['version']}"
        lines.append(f"member    {member['id']}  {state}  {member['lineage']}")
    return tell(args, status, lines + [f"WARNING   {warning}" for warning in status["warnings"]])


def _extend(args: argparse.Namespace) -> int:
    from qaztech.registry.keys import RegistryKeys  # noqa: PLC0415
    from qaztech.registry.rescue import extend  # noqa: PLC0415

    confirm(args, "The online keys will be new, and what the old ones sign counts for nothing any more.")
    version, digest = extend(args.published, RegistryKeys(args.keys), SystemClock(), days=args.days)
    return tell(
        args,
        {"version": version, "sha256": digest, "days": args.days},
        [
            f"snapshot {version} is valid for {args.days} days: {digest}",
            f"Serve {args.published} at the registry's address, below /registry/ (docs/howto/registry-lost.md).",
        ],
    )
