"""`qaztech node`: make a node's keys and settings, check them, run it, renew its log."""

from __future__ import annotations

import argparse
import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli import joining
from qaztech.cli.node_keys import add_new_key
from qaztech.cli.node_receipts import add_receipts
from qaztech.cli.operational import add_operational
from qaztech.cli.options import add_action, add_json, add_registry_url, add_yes, confirm, registry_url_of, tell
from qaztech.cli.running import add_run, serve
from qaztech.core.errors import Conflict, Malformed
from qaztech.core.ids import NodeId
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.node.renewal import Need, Renewal


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("node", help="make, check or run a node; renew its log")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_run(actions, "a node", "node.toml", _run)
    _add_new(actions)
    check = add_action(
        actions, "check-config", "say what is wrong with a node's settings, before it is started", _check,
        more="Exits 0 if it would start.",
    )  # fmt: skip
    check.add_argument("file", type=Path, metavar="FILE", help="its node.toml")
    add_json(check)
    joining.add_node_actions(actions)
    _add_renew_log(actions)
    add_new_key(actions)
    add_receipts(actions)
    add_operational(actions)


def _add_new(actions: Verbs) -> None:
    new = add_action(
        actions, "new", "make a node's keys, the request for its certificate, and its settings", _new,
        more="What is there stays, so it can be run again.",
    )  # fmt: skip
    new.add_argument("directory", type=Path, metavar="DIR", help="its folder")
    new.add_argument("--id", required=True, metavar="NODE", help="its identifier, such as KZ/GOV/991340000017/node1")
    new.add_argument("--address", required=True, metavar="HOST:PORT", help="where peers reach it")
    new.add_argument("--lineage", required=True, metavar="HEX", help="the lineage of its member")
    new.add_argument("--anchor", type=Path, required=True, metavar="FILE", help="the instance's anchor")
    new.add_argument("--registry", required=True, metavar="URL", help="the registry's address")
    new.add_argument(
        "--edge-port", type=int, default=8080, metavar="N", help="where systems call, on this machine (8080)"
    )
    new.add_argument("--management-port", type=int, default=4000, metavar="N", help="its management API (4000)")
    new.add_argument("--no-hybrid", action="store_true", help="no ML-DSA-44 key for the log")
    add_json(new)


def _add_renew_log(actions: Verbs) -> None:
    renew = add_action(
        actions, "renew-log", "close a node's log for good and begin another that continues it", _renew_log,
        more="For a log that was restored from a backup or copied, is damaged, or whose key is known to others. "
        "The node does not run meanwhile. Cut short, it is run again. See docs/howto/restore-a-log.md.",
    )  # fmt: skip
    renew.add_argument("--settings", type=Path, required=True, metavar="FILE", help="its node.toml")
    renew.add_argument(
        "--desk", type=Path, action="append", default=[], metavar="DIR",
        help="the member's folder, if it is on this machine; of several members, the node's owner's first",
    )  # fmt: skip
    renew.add_argument("--reason", metavar="TEXT", help="why; needed where witnesses see no reason themselves")
    renew.add_argument(
        "--witnessed", nargs=2, metavar=("SIZE", "ROOT"), help="what witnesses saw last, where they cannot be asked"
    )
    add_registry_url(renew)
    renew.add_argument("--no-submit", action="store_true", help="change the member file, but do not submit it")
    add_yes(renew)
    add_json(renew)


def _run(args: argparse.Namespace) -> int:
    from qaztech.compose.node import run_node  # noqa: PLC0415  # each process imports only what it runs

    return serve(lambda stop: run_node(args.settings, stop), fast=True)


# A new node --------------------------------------------------------------------------------------------------------


def _new(args: argparse.Namespace) -> int:
    from qaztech.registry.anchor import parse_anchor  # noqa: PLC0415  # imports that other verbs need not pay
    from qaztech.registry.files import write_file  # noqa: PLC0415
    from qaztech.registry.forms import base64, check_hex  # noqa: PLC0415
    from qaztech.registry.node_identity import NODE_FILE, NodeIdentity  # noqa: PLC0415

    node, directory = NodeId.parse(args.id), args.directory
    check_hex(args.lineage, "command.malformed", "lineage")
    anchor = parse_anchor(args.anchor.read_bytes())
    if anchor.instance != node.member.instance:
        raise Conflict("registry.instance", f"the anchor is of the instance {anchor.instance}, not of {node}")
    host, _, port = args.address.rpartition(":")
    if not host or not port.isdigit():
        raise Malformed("command.malformed", f"not HOST:PORT: {args.address!r}")
    identity = NodeIdentity.create(directory, node, args.address, hybrid=not args.no_hybrid)
    write_file(directory / NODE_FILE, identity.format())
    write_file(directory / "anchor.json", anchor.data)
    settings = directory / "node.toml"
    if not settings.exists():
        made = settings_text(
            node=node, lineage=args.lineage, registry=args.registry, address=args.address, edge_port=args.edge_port,
            management_port=args.management_port,
        )  # fmt: skip
        write_file(settings, made.encode())
    return tell(
        args,
        {
            "node": str(node), "origin": identity.log[0].name, "tls": base64(identity.tls), "settings": str(settings),
            "request": str(directory / "tls.csr"), "identity": str(directory / NODE_FILE), "anchor": anchor.fingerprint,
        },
        [
            f"node     {node}",
            f"log      {identity.log[0].name}",
            f"anchor   {anchor.fingerprint}  (compare it with what the registry told you)",
            f"1. Have {directory / 'tls.csr'} certified by the registry, and put the answer beside it as tls.pem:",
            f"     qaztech registry certificate --node {node} --request tls.csr --out tls.pem",
            f"2. Let it speak for its member, with {directory / NODE_FILE} at the member's desk:",
            "     qaztech member add-node --desk DIR --node node.json",
            f"3. Say in {settings} who may call and what is offered, then",
            f"     qaztech node check-config {settings}",
            f"     qaztech node run --settings {settings}",
        ],
    )  # fmt: skip


def settings_text(
    *, node: NodeId, lineage: str, registry: str, address: str, edge_port: int, management_port: int
) -> str:
    """The first `node.toml` of a node."""
    host, _, port = address.rpartition(":")
    listen = host if host.replace(".", "").isdigit() else "0.0.0.0"  # peers come from elsewhere
    return f"""# A node. Paths are relative to this file; `qaztech node check-config` says what is wrong with it.
# Changes of clients and services are taken up by POST /reload at the management API, others at the next start.
id = {json.dumps(str(node))}
directory = "."
anchor = "anchor.json"
registry = {json.dumps(registry)}
# How often, in seconds, the log is shown to the witnesses.
witnessing_seconds = 30.0

[[members]]
id = {json.dumps(str(node.member))}
lineage = {json.dumps(lineage)}

# The members' own systems that may call others through this node.
# [[clients]]
# id = "{node.member}/SUBSYSTEM"
# # printf %s "$TOKEN" | sha256sum
# token_hashes = []

# The services that the members offer, and where their systems are.
# [[services]]
# id = "{node.member}/SUBSYSTEM/SERVICE"
# url = "http://127.0.0.1:9000"

[edge]
host = "127.0.0.1"
port = {edge_port}

[link]
host = {json.dumps(listen)}
port = {port}

[management]
host = "127.0.0.1"
port = {management_port}
"""


# Checking ----------------------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    from qaztech.compose.node_check import check_node  # noqa: PLC0415

    findings = check_node(args.file, SystemClock())
    ok = all(finding.level != "error" for finding in findings)
    lines = [f"{finding.level:8} {finding.what}" for finding in findings]
    lines.append("the node would start" if ok else "the node would not start, or not work")
    tell(args, {"ok": ok, "findings": [{"level": f.level, "what": f.what} for f in findings]}, lines)
    return 0 if ok else 1


# Renewing the log --------------------------------------------------------------------------------------------------


def _renew_log(args: argparse.Namespace) -> int:
    from qaztech.evidence.last_seen import LastSeen, last_seen  # noqa: PLC0415
    from qaztech.evidence.note import VerifierKey  # noqa: PLC0415
    from qaztech.node.renewal import Renewal  # noqa: PLC0415
    from qaztech.node.settings import NodeSettings  # noqa: PLC0415
    from qaztech.registry.anchor import parse_anchor  # noqa: PLC0415
    from qaztech.runtime.outbound import get  # noqa: PLC0415
    from qaztech.runtime.settings import read_settings  # noqa: PLC0415

    settings, base = read_settings(args.settings, NodeSettings), args.settings.parent
    node = NodeId.parse(settings.id)
    policy = parse_anchor((base / settings.anchor).read_bytes()).policy

    def ask(key: VerifierKey) -> LastSeen:
        return last_seen(key.name, key, policy, get)

    args.registry = args.registry or settings.registry
    submits = bool(args.desk) and not args.no_submit
    registry = registry_url_of(args) if submits else None
    renewal = Renewal((base / settings.directory).resolve(), node, SystemClock(), tell=_progress)
    with renewal.locked():
        need = renewal.need(ask)
        _agree(args, need)
        closed = renewal.run(need, args.reason or need.why, _witnessed(args))
        _tell_members(args.desk, registry, node, renewal)
        origin = renewal.keys().origin
    root = b64encode(closed.root).decode()
    return tell(
        args,
        {
            "node": str(node),
            "closed": {"origin": closed.origin, "size": closed.size, "root": root, "reason": closed.reason},
            "origin": origin,
            "submitted": submits,
        },
        [
            f"closed   {closed.origin} at {closed.size} entries: {closed.reason}",
            f"open     {origin}",
            *(["the registry has the member file; start the node"] if submits else _left(args)),
        ],
    )


def _progress(what: str) -> None:
    sys.stderr.write(f"  {what}\n")


def _agree(args: argparse.Namespace, need: Need) -> None:
    """Raise `Conflict` where there is no reason, or nobody who wants it."""
    if need.state == "may" and not args.reason:
        raise Conflict("log.healthy", f"there is no need: {need.why}. Say with --reason why it must end all the same")
    if need.state in {"may", "must"}:
        confirm(args, f"The log {need.origin} will be closed for good ({args.reason or need.why}).")


def _witnessed(args: argparse.Namespace) -> tuple[int, bytes] | None:
    from qaztech.cli.log import size_and_root  # noqa: PLC0415

    return size_and_root(args.witnessed) if args.witnessed else None


def _tell_members(desks: list[Path], registry: str | None, node: NodeId, renewal: Renewal) -> None:
    """Say it in the member files, and bring them to the registry."""
    from qaztech.registry.desk import Desk  # noqa: PLC0415
    from qaztech.registry.submitting import submit  # noqa: PLC0415

    closed, vkeys = renewal.before(), renewal.keys().vkeys
    for directory in desks:
        with Desk.locked(directory, SystemClock()) as desk:
            submission = desk.continue_log(node, closed, vkeys)
            if registry is not None:
                submit(registry, submission)


def _left(args: argparse.Namespace) -> list[str]:
    desks = args.desk or ["DIR"]
    lines = ["bring the member file to the registry, then start the node:"]
    if not args.desk:
        lines = ["say so at the desk, with the new node.json, then start the node:"]
        lines += ["  qaztech member add-node --desk DIR --node node.json"]
    return lines + [f"  qaztech member submit --desk {desk} --registry URL" for desk in desks]
