"""A member file as `qaztech member show` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qaztech.cli.desk import moment
from qaztech.core.ids import ServiceId

if TYPE_CHECKING:
    from qaztech.registry.desk import Desk
    from qaztech.registry.forms import Names
    from qaztech.registry.member_file import ServiceLine


def facts_of(desk: Desk) -> dict[str, Any]:
    """What the newest file says, for programs."""
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
        "services": [_service(desk, line) for line in statement.services],
    }


def _service(desk: Desk, line: ServiceLine) -> dict[str, Any]:
    held = desk.rights(ServiceId.parse(line.id))
    return {
        "id": line.id,
        "type": line.type,
        "names": _names(line.names),
        "disabled": line.disabled,
        "groups": {name: [member.client for member in members] for name, members in held.groups.items()},
        "rights": [
            {
                "client": right.client,
                "group": right.group,
                "lineage": right.lineage,
                "endpoints": list(right.endpoints),
                "until": right.until,
            }
            for right in held.rights
        ],
    }


def _names(names: Names) -> dict[str, str]:
    return {"kk": names.kk, "ru": names.ru, "en": names.en}


def lines_of(facts: dict[str, Any]) -> list[str]:
    """The same for people."""
    lines = [
        f"member     {facts['member']}  {facts['names']['en']}",
        f"lineage    {facts['lineage']}",
        f"version    {facts['version']}, valid until {moment(facts['expires'])}; key {facts['keys']} of the lineage",
    ]
    lines += [f"node       {n['id']}  {n['address']}" for n in facts["nodes"]]
    for log in facts["logs"]:
        state = "open" if log["closed"] is None else f"closed at {log['closed']['size']} entries"
        lines.append(f"log        {log['origin']}  {state}, since {moment(log['from'])}")
    lines += [f"subsystem  {s['id']}  {s['names']['en']}" for s in facts["subsystems"]]
    for service in facts["services"]:
        off = f"  switched off: {service['disabled']}" if service["disabled"] else ""
        lines.append(f"service    {service['id']}  {service['type']}  {service['names']['en']}{off}")
        for right in service["rights"]:
            until = f"  until {moment(right['until'])}" if right["until"] is not None else ""
            who = right["client"] or f"group {right['group']}"
            lines.append(f"  right    {who}  {', '.join(right['endpoints'])}{until}")
        lines += [
            f"  group    {name}  {', '.join(clients) or 'nobody yet'}" for name, clients in service["groups"].items()
        ]
    return lines
