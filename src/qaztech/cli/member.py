"""`qaztech member`: a member's own desk. Every change makes and signs the next version of its member file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli import joining, requests, rights
from qaztech.cli.desk import add_change, add_service_id, moment
from qaztech.cli.options import (
    add_action,
    add_desk,
    add_json,
    add_names,
    add_registry_url,
    add_yes,
    confirm,
    names_of,
    registry_url_of,
    tell,
)
from qaztech.core.errors import Conflict, Malformed
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.registry.desk import Desk


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("member", help="write and sign a member's file: nodes, services, rights, keys")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_beginning(actions)
    joining.add_member_actions(actions)
    _add_parts(actions)
    rights.add_actions(actions)
    requests.add_actions(actions)
    _add_keys(actions)


def _add_beginning(actions: Verbs) -> None:
    new = add_action(actions, "new", "make a member's key and its first, empty member file", _new)
    add_desk(new)
    new.add_argument("--id", required=True, metavar="MEMBER", help="its identifier, such as KZ/GOV/991340000017")
    add_names(new, required=True)
    add_json(new)
    show = add_action(actions, "show", "show the newest member file and the rights it gives", _show)
    add_desk(show)
    add_json(show)
    submit = add_action(
        actions, "submit", "bring the newest member file to the registry", _submit,
        more="What is sent counts by its signature, so anybody may bring it.",
    )  # fmt: skip
    add_desk(submit)
    add_registry_url(submit)
    add_json(submit)


def _add_parts(actions: Verbs) -> None:
    node = add_change(actions, "add-node", "let a node speak for the member; or change its address or key", _add_node)
    node.add_argument(
        "--node", type=Path, required=True, metavar="PATH", help="its node.json, or the folder that `node new` made"
    )
    node.add_argument("--address", metavar="HOST:PORT", help="where peers reach it, if not as node.json says")
    leave = add_change(actions, "remove-node", "let a node speak for the member no more", _leave)
    leave.add_argument("--node", required=True, metavar="ID", help="such as KZ/GOV/991340000017/node1")
    leave.add_argument(
        "--grace", type=float, default=120.0, metavar="SECONDS",
        help="for how long its log still speaks for the member, so that all can hear of it (120)",
    )  # fmt: skip
    subsystem = add_change(actions, "add-subsystem", "name an information system, or rename one", _add_subsystem)
    subsystem.add_argument("--subsystem", required=True, metavar="ID", help="such as KZ/GOV/991340000017/permits")
    add_names(subsystem, required=True)
    service = add_change(actions, "add-service", "name a service, or change one; its rights stay", _add_service)
    add_service_id(service)
    service.add_argument("--type", choices=("REST", "OPENAPI"), help="what kind it is (as it was; REST)")
    add_names(service, required=False)
    switch = service.add_mutually_exclusive_group()
    switch.add_argument("--disable", metavar="NOTICE", help="switch it off, with this notice to callers")
    switch.add_argument("--enable", action="store_true", help="switch it on again")


def _add_keys(actions: Verbs) -> None:
    add_change(actions, "renew", "sign the member file as it is for another year", _renew)
    rotate = add_change(actions, "rotate-key", "change the member key; the one before signs the change", _rotate_key)
    add_yes(rotate)


# The beginning -----------------------------------------------------------------------------------------------------


def _new(args: argparse.Namespace) -> int:
    from qaztech.registry.desk import Desk  # noqa: PLC0415

    names = names_of(args)
    assert names is not None  # noqa: S101  # they are required
    names.check("member-file.malformed")
    desk = Desk.create(args.desk, member=MemberId.parse(args.id), names=names, clock=SystemClock())
    file = args.desk / "member-file.json"
    return tell(
        args,
        {"member": str(desk.member), "lineage": desk.lineage, "version": desk.statement.version, "file": str(file)},
        [
            f"member   {desk.member}",
            f"lineage  {desk.lineage}",
            f"Keep {args.desk / 'member.key'} safe, and a copy elsewhere: whoever has it speaks for the member.",
            f"Hand {file} to the registry, and tell it the lineage by another way; it runs",
            f"  qaztech registry admit --file member-file.json --lineage {desk.lineage}",
        ],
    )


def _show(args: argparse.Namespace) -> int:
    from qaztech.cli.member_file import facts_of, lines_of  # noqa: PLC0415
    from qaztech.registry.desk import Desk  # noqa: PLC0415

    facts = facts_of(Desk(args.desk, SystemClock()))
    return tell(args, facts, lines_of(facts))


def _submit(args: argparse.Namespace) -> int:
    from qaztech.registry.desk import Desk  # noqa: PLC0415
    from qaztech.registry.submitting import submit  # noqa: PLC0415

    desk = Desk(args.desk, SystemClock())
    url = registry_url_of(args)
    submit(url, desk.submission())
    version = desk.statement.version
    return tell(
        args,
        {"member": str(desk.member), "version": version, "registry": url},
        [f"the registry has version {version} of {desk.member}; nodes take it up at their next refresh"],
    )


# Changes -----------------------------------------------------------------------------------------------------------


def _add_node(args: argparse.Namespace, desk: Desk) -> str:
    from qaztech.registry.node_identity import NodeIdentity  # noqa: PLC0415

    node = NodeIdentity.read(args.node)
    address = args.address or node.address
    desk.add_node(node.id, address, node.tls, node.log, node.continues, next_tls=node.next_tls)
    return f"node {node.id} at {address}, log {node.log[0].name}{', and its next TLS key' if node.next_tls else ''}"


def _leave(args: argparse.Namespace, desk: Desk) -> str:
    node = NodeId.parse(args.node)
    if not 0 <= args.grace <= 86_400:
        raise Malformed("command.malformed", "--grace is between 0 and 86400 seconds")
    desk.remove_node(node, int(args.grace * 1000))
    return f"node {node} speaks for {desk.member} no more; its log for another {args.grace:g} s"


def _add_subsystem(args: argparse.Namespace, desk: Desk) -> str:
    subsystem = SubsystemId.parse(args.subsystem)
    _must_own(desk, subsystem.member)
    names = names_of(args)
    assert names is not None  # noqa: S101  # they are required
    desk.add_subsystem(subsystem, names)
    return f"subsystem {subsystem}"


def _add_service(args: argparse.Namespace, desk: Desk) -> str:
    service = ServiceId.parse(args.service)
    _must_own(desk, service.subsystem.member)
    known = next((line for line in desk.statement.services if line.id == str(service)), None)
    names = names_of(args) or (known.names if known is not None else None)
    if names is None:
        raise Malformed("command.malformed", "a new service needs --name-kk, --name-ru and --name-en")
    type_ = args.type or (known.type if known is not None else "REST")
    disabled = args.disable or (None if args.enable or known is None else known.disabled)
    desk.add_service(service, names, type_=type_, disabled=disabled)
    return f"service {service}{f', switched off: {disabled}' if disabled else ''}"


def _renew(args: argparse.Namespace, desk: Desk) -> str:
    del args
    desk.change()
    return f"valid until {moment(desk.statement.expires)}"


def _rotate_key(args: argparse.Namespace, desk: Desk) -> str:
    confirm(args, f"{desk.member} gets a new key. The one before counts for nothing more once nodes have seen this.")
    before = desk.statement.version
    desk.rotate_key()
    return (
        f"the member key is new; the one before is member.key.until-version-{before + 1}: "
        "keep it until the registry has this version, then destroy it"
    )


def _must_own(desk: Desk, member: MemberId) -> None:
    if member != desk.member:
        raise Conflict("member.other", f"this is the desk of {desk.member}, and {member} is another member")
