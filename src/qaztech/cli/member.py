"""`qaztech member`: a member's own desk. Every change makes and signs the next version of its member file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qaztech.cli.options import (
    add_action,
    add_desk,
    add_json,
    add_names,
    add_registry,
    add_yes,
    confirm,
    names_of,
    registry_of,
    tell,
)
from qaztech.core.errors import Conflict, Malformed
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.registry.desk import Desk

# Days are counted as in Kazakhstan.
_HERE = timezone(timedelta(hours=5))
_DAY = timedelta(days=1)


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("member", help="write and sign a member's file: nodes, services, rights, keys")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_beginning(actions)
    _add_parts(actions)
    _add_rights(actions)
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
        more="The registry's management is reached from its own machine; what is sent counts by its signature.",
    )  # fmt: skip
    add_desk(submit)
    add_registry(submit)
    add_json(submit)


def _add_parts(actions: Verbs) -> None:
    node = _change(actions, "add-node", "let a node speak for the member, or change its address or TLS key", _add_node)
    node.add_argument(
        "--node", type=Path, required=True, metavar="PATH", help="its node.json, or the folder that `node new` made"
    )
    node.add_argument("--address", metavar="HOST:PORT", help="where peers reach it, if not as node.json says")
    subsystem = _change(actions, "add-subsystem", "name an information system, or rename one", _add_subsystem)
    subsystem.add_argument("--subsystem", required=True, metavar="ID", help="such as KZ/GOV/991340000017/permits")
    add_names(subsystem, required=True)
    service = _change(actions, "add-service", "name a service, or change one; its rights stay", _add_service)
    _add_service_id(service)
    service.add_argument("--type", choices=("REST", "OPENAPI"), help="what kind it is (as it was; REST)")
    add_names(service, required=False)
    switch = service.add_mutually_exclusive_group()
    switch.add_argument("--disable", metavar="NOTICE", help="switch it off, with this notice to callers")
    switch.add_argument("--enable", action="store_true", help="switch it on again")


def _add_rights(actions: Verbs) -> None:
    grant = _change(
        actions, "grant", "give a client the right to call a service", _grant,
        more="The right takes the place of any the client had.",
    )  # fmt: skip
    _add_service_id(grant)
    _add_client(grant)
    grant.add_argument(
        "--lineage", required=True, metavar="HEX", help="the client's member's, as it told you by a way you trust"
    )
    grant.add_argument(
        "--endpoint", action="append", required=True, metavar='"METHOD /PATH"',
        help='such as "GET /**": * is any method or one segment, ** any number of segments; repeatable',
    )  # fmt: skip
    grant.add_argument(
        "--until",
        metavar="TIME",
        help="2031-05-01 (to the end of that day, UTC+05:00) or 2031-05-01T12:00+05:00",
    )
    revoke = _change(actions, "revoke", "take a client's right to call a service away", _revoke)
    _add_service_id(revoke)
    _add_client(revoke)
    add_yes(revoke)


def _add_keys(actions: Verbs) -> None:
    _change(actions, "renew", "sign the member file as it is for another year", _renew)
    rotate = _change(actions, "rotate-key", "change the member key; the one before signs the change", _rotate_key)
    add_yes(rotate)


def _change(
    actions: Verbs, name: str, help_: str, run: Callable[[argparse.Namespace, Desk], str], *, more: str = ""
) -> argparse.ArgumentParser:
    """An action that changes the file; `run` says in a few words what has changed."""
    parser = add_action(actions, name, help_, lambda args: _changed(args, run), more=more)
    add_desk(parser)
    add_json(parser)
    return parser


def _add_service_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service", required=True, metavar="ID", help="such as KZ/GOV/991340000017/permits/list")


def _add_client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--client", required=True, metavar="ID", help="the calling subsystem, such as KZ/EDU/…/research"
    )


def _changed(args: argparse.Namespace, run: Callable[[argparse.Namespace, Desk], str]) -> int:
    from qaztech.registry.desk import Desk  # noqa: PLC0415  # imports that other verbs need not pay

    with Desk.locked(args.desk, SystemClock()) as desk:
        what = run(args, desk)
        statement = desk.statement
        facts = {"member": statement.member, "lineage": desk.lineage, "version": statement.version, "change": what}
        return tell(args, facts, [what, f"version {statement.version} of {statement.member} is signed; {_next(args)}"])


def _next(args: argparse.Namespace) -> str:
    return f"bring it to the registry: qaztech member submit --desk {args.desk} --registry URL --token-file FILE"


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
    from qaztech.registry.desk import Desk  # noqa: PLC0415

    desk = Desk(args.desk, SystemClock())
    facts = _facts(desk)
    return tell(args, facts, _lines(facts))


def _submit(args: argparse.Namespace) -> int:
    from qaztech.registry.desk import Desk  # noqa: PLC0415
    from qaztech.registry.submitting import submit  # noqa: PLC0415

    desk = Desk(args.desk, SystemClock())
    url, token = registry_of(args)
    submit(url, token, desk.submission())
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
    desk.add_node(node.id, address, node.tls, node.log, node.continues)
    return f"node {node.id} at {address}, log {node.log[0].name}"


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


def _grant(args: argparse.Namespace, desk: Desk) -> str:
    service, client = ServiceId.parse(args.service), SubsystemId.parse(args.client)
    endpoints = [Endpoint.parse(text) for text in args.endpoint]
    until = _until(args.until) if args.until else None
    if until is not None and until <= SystemClock().now():
        raise Malformed("command.malformed", f"{args.until} is past")
    desk.grant(service, client, args.lineage, endpoints, until)
    return f"{client} may call {', '.join(map(str, endpoints))} of {service}{f' until {args.until}' if until else ''}"


def _revoke(args: argparse.Namespace, desk: Desk) -> str:
    service, client = ServiceId.parse(args.service), SubsystemId.parse(args.client)
    if all(right.client != str(client) for right in desk.rights(service).rights):
        raise Conflict("access-right.missing", f"{client} has no right of its own to {service}")
    confirm(args, f"{client} will no more be able to call {service}.")
    desk.revoke(service, client)
    return f"{client} may no more call {service}"


def _renew(args: argparse.Namespace, desk: Desk) -> str:
    del args
    desk.change()
    return f"valid until {_moment(desk.statement.expires)}"


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


def _until(text: str) -> int:
    """Milliseconds; a day counts to its end."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Malformed("command.malformed", f"{text!r} is no time such as 2031-05-01T12:00+05:00") from exc
    if len(text) == len("2031-05-01"):
        moment = moment.replace(tzinfo=_HERE) + _DAY
    elif moment.tzinfo is None:
        raise Malformed("command.malformed", f"{text} does not say in which time zone, such as +05:00")
    return int(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(_HERE).strftime("%Y-%m-%d %H:%M UTC+05:00")


# Showing -----------------------------------------------------------------------------------------------------------


def _facts(desk: Desk) -> dict[str, Any]:
    statement = desk.statement
    return {
        "member": statement.member,
        "lineage": desk.lineage,
        "version": statement.version,
        "keys": len(statement.key_history) + 1,
        "names": _names(statement.names),
        "issued": statement.issued,
        "expires": statement.expires,
        "nodes": [{"id": n.id, "address": n.address, "tls": n.tls} for n in statement.nodes],
        "logs": [
            {
                "origin": log.origin,
                "node": log.node,
                "from": log.from_,
                "until": log.until,
                "closed": {"size": log.closed.size, "root": log.closed.root} if log.closed is not None else None,
                "continues": log.continues,
            }
            for log in statement.logs
        ],
        "subsystems": [{"id": f"{statement.member}/{s.code}", "names": _names(s.names)} for s in statement.subsystems],
        "services": [
            {
                "id": s.id,
                "type": s.type,
                "names": _names(s.names),
                "disabled": s.disabled,
                "rights": [
                    {
                        "client": right.client,
                        "group": right.group,
                        "lineage": right.lineage,
                        "endpoints": list(right.endpoints),
                        "until": right.until,
                    }
                    for right in desk.rights(ServiceId.parse(s.id)).rights
                ],
            }
            for s in statement.services
        ],
    }


def _names(names: Any) -> dict[str, str]:
    return {"kk": names.kk, "ru": names.ru, "en": names.en}


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"member     {facts['member']}  {facts['names']['en']}",
        f"lineage    {facts['lineage']}",
        f"version    {facts['version']}, valid until {_moment(facts['expires'])}; key {facts['keys']} of the lineage",
    ]
    lines += [f"node       {n['id']}  {n['address']}" for n in facts["nodes"]]
    for log in facts["logs"]:
        state = "open" if log["closed"] is None else f"closed at {log['closed']['size']} entries"
        lines.append(f"log        {log['origin']}  {state}, since {_moment(log['from'])}")
    lines += [f"subsystem  {s['id']}  {s['names']['en']}" for s in facts["subsystems"]]
    for service in facts["services"]:
        off = f"  switched off: {service['disabled']}" if service["disabled"] else ""
        lines.append(f"service    {service['id']}  {service['type']}  {service['names']['en']}{off}")
        for right in service["rights"]:
            until = f"  until {_moment(right['until'])}" if right["until"] is not None else ""
            lines.append(f"  right    {right['client'] or right['group']}  {', '.join(right['endpoints'])}{until}")
    return lines
