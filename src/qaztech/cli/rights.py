"""`qaztech member grant|revoke|join|leave`: who may call a service, client by client or in groups."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from qaztech.cli.desk import HERE, add_change, add_service_id
from qaztech.cli.options import add_yes, confirm
from qaztech.core.errors import Conflict, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.registry.desk import Desk

_CLIENT = "the calling subsystem, such as KZ/EDU/…/research"
_GROUP = "a group of clients of that service"
_DAY = timedelta(days=1)


def add_actions(actions: Verbs) -> None:
    """Add the four actions."""
    grant = add_change(
        actions, "grant", "give a client, or a group of clients, the right to call a service", _grant,
        more="The right takes the place of any that the client or the group had.",
    )  # fmt: skip
    add_service_id(grant)
    _add_client_or_group(grant)
    _add_lineage(grant, required=False)
    grant.add_argument(
        "--endpoint", action="append", required=True, metavar='"METHOD /PATH"',
        help='such as "GET /**": * is any method or one segment, ** any number of segments; repeatable',
    )  # fmt: skip
    grant.add_argument(
        "--until", metavar="TIME", help="2031-05-01 (to the end of that day, UTC+05:00) or 2031-05-01T12:00+05:00"
    )
    revoke = add_change(actions, "revoke", "take the right of a client, or of a group, away", _revoke)
    add_service_id(revoke)
    _add_client_or_group(revoke)
    add_yes(revoke)
    join = add_change(actions, "join", "put a client into a group: it has what the group has, now and later", _join)
    add_service_id(join)
    _add_group(join)
    _add_client(join)
    _add_lineage(join, required=True)
    leave = add_change(actions, "leave", "take a client out of a group; a right of its own stays", _leave)
    add_service_id(leave)
    _add_group(leave)
    _add_client(leave)
    add_yes(leave)


def _add_client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client", required=True, metavar="ID", help=_CLIENT)


def _add_group(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--group", required=True, metavar="NAME", help=_GROUP)


def _add_client_or_group(parser: argparse.ArgumentParser) -> None:
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--client", metavar="ID", help=_CLIENT)
    who.add_argument("--group", metavar="NAME", help=_GROUP)


def _add_lineage(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--lineage", required=required, metavar="HEX", help="the client's member's, as it told you by a way you trust"
    )


def _grant(args: argparse.Namespace, desk: Desk) -> str:
    service = ServiceId.parse(args.service)
    endpoints = [Endpoint.parse(text) for text in args.endpoint]
    until = _until(args.until) if args.until else None
    if until is not None and until <= SystemClock().now():
        raise Malformed("command.malformed", f"{args.until} is past")
    if args.group is not None:
        who = f"group {args.group}"
        desk.change_rights(service, lambda rights: rights.grant_group(args.group, endpoints, until))
    elif args.lineage is None:
        raise Malformed("command.malformed", "a right is for a client of one lineage: give --lineage")
    else:
        who = args.client
        desk.grant(service, SubsystemId.parse(args.client), args.lineage, endpoints, until)
    return f"{who} may call {', '.join(map(str, endpoints))} of {service}{f' until {args.until}' if until else ''}"


def _revoke(args: argparse.Namespace, desk: Desk) -> str:
    service, before = ServiceId.parse(args.service), desk.rights(ServiceId.parse(args.service))
    if args.group is not None:
        if args.group not in before.groups:
            raise Conflict("access-right.missing", f"{service} has no group {args.group}")
        clients = len(before.groups[args.group])
        confirm(args, f"The group {args.group}, {clients} clients, will no more be able to call {service}.")
        desk.change_rights(service, lambda rights: rights.revoke_group(args.group))
        return f"group {args.group} may no more call {service}, and is gone"
    client = SubsystemId.parse(args.client)
    groups = [name for name, members in before.groups.items() if any(m.client == str(client) for m in members)]
    through = f"; it still has what the groups {', '.join(groups)} have" if groups else ""
    if all(right.client != str(client) for right in before.rights):
        raise Conflict("access-right.missing", f"{client} has no right of its own to {service}{through}")
    confirm(args, f"{client} will no more be able to call {service}{through}.")
    desk.revoke(service, client)
    return f"{client} may no more call {service}{through}"


def _join(args: argparse.Namespace, desk: Desk) -> str:
    service, client = ServiceId.parse(args.service), SubsystemId.parse(args.client)
    desk.change_rights(service, lambda rights: rights.join(args.group, client, args.lineage))
    return f"{client} is in the group {args.group} of {service}"


def _leave(args: argparse.Namespace, desk: Desk) -> str:
    service, client = ServiceId.parse(args.service), SubsystemId.parse(args.client)
    members = desk.rights(service).groups.get(args.group, ())
    if all(member.client != str(client) for member in members):
        raise Conflict("access-right.missing", f"{client} is not in a group {args.group} of {service}")
    confirm(args, f"{client} will no more have what the group {args.group} of {service} has.")
    desk.change_rights(service, lambda rights: rights.leave(args.group, client))
    return f"{client} is out of the group {args.group} of {service}"


def _until(text: str) -> int:
    """Milliseconds; a day counts to its end."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Malformed("command.malformed", f"{text!r} is no time such as 2031-05-01T12:00+05:00") from exc
    if len(text) == len("2031-05-01"):
        moment = moment.replace(tzinfo=HERE) + _DAY
    elif moment.tzinfo is None:
        raise Malformed("command.malformed", f"{text} does not say in which time zone, such as +05:00")
    return int(moment.timestamp() * 1000)
