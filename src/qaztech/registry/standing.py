"""The checks of a receipt that only a configuration can answer: who spoke for whom, and by which right.

Pure decisions over a verified `Configuration`; without one, nothing can be checked. See docs/formats/receipt.md, and
docs/formats/excerpt.md for what a configuration says.
"""

from __future__ import annotations

import math
from typing import Final

from qaztech.core.exchange import needs_no_right
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.record import NO_ENDPOINT
from qaztech.core.rights import Endpoint
from qaztech.evidence.examination import BAD, CANNOT, OK, Check, Entry, Exchange
from qaztech.evidence.receipt import Disclosure, ListedLog
from qaztech.registry.configuration import Configuration, LogEntry

# How far a node's clock may be ahead of the witnesses', in milliseconds.
SKEW: Final = 60_000
_UNKNOWN: Final = "the configuration does not verify"


def check_parties(entry: Entry, exchange: Exchange, configuration: Configuration | None) -> Check:
    """Whether both logs spoke for the members when the record was made (`parties`)."""
    if configuration is None:
        return Check("parties", entry.subject, CANNOT, _UNKNOWN)
    silent = _silent(exchange, configuration, entry.record.number("time"))
    if silent:
        return Check("parties", entry.subject, BAD, silent)
    return Check("parties", entry.subject, OK, f"{_client(exchange).member} and {_service(exchange).subsystem.member}")


def check_time(entry: Entry, exchange: Exchange, configuration: Configuration | None, witnessed: int | None) -> Check:
    """Whether a record was made when it says, and witnessed while what it rests on was in force (`time`)."""
    time = entry.record.number("time")
    why = ""
    if entry.kind == "request" and time > entry.record.number("expires"):
        why = "the request expired before it was made"
    elif witnessed is None:
        return Check("time", entry.subject, CANNOT, "nobody has witnessed when it was made")
    elif time > witnessed + SKEW:
        why = f"made {(time - witnessed) // 1000} s after it was witnessed"
    elif configuration is not None and not configuration.usable(witnessed):
        why = "witnessed only after the configuration it names had expired"
    elif configuration is not None and (silent := _silent(exchange, configuration, witnessed)):
        why = f"when it was witnessed, {silent}"
    if why or witnessed is None:
        return Check("time", entry.subject, BAD, why)
    return Check(
        "time",
        entry.subject,
        OK,
        f"witnessed within {max(1, math.ceil((witnessed - time) / 1000))} s of when it was made",
    )


def check_right(exchange: Exchange, configuration: Configuration | None, path: Disclosure | None) -> Check:
    """Whether the client had the right that the request names, and it covers what is known of the call (`right`)."""
    record, code = exchange.request.record, _service(exchange).code
    if record["endpoint"] == NO_ENDPOINT and needs_no_right(code, record["method"]):
        return Check("right", "request", OK, f"{code} needs none")
    if configuration is None:
        return Check("right", "request", CANNOT, _UNKNOWN)
    why = _no_right(exchange, configuration, path)
    if why:
        return Check("right", "request", BAD, why)
    return Check("right", "request", OK, f"{record['client']} may call {record['endpoint']}")


def check_listed(
    listed: ListedLog, witnesses: dict[str, set[str]], configurations: list[Configuration] | None
) -> Check:
    """Whether a log or witness is listed with the member and the keys it has (`logs`)."""
    keys = set(listed.vkeys)
    if listed.origin in witnesses:
        right = listed.member is None and keys <= witnesses[listed.origin]
    elif configurations is None:
        return Check("logs", listed.origin, CANNOT, _UNKNOWN)
    else:
        known = [log for c in configurations if (log := c.log(listed.origin)) is not None]
        right = any(_fits(listed, log) for log in known)
    if not right or not keys or len(keys) != len(listed.vkeys):
        return Check("logs", listed.origin, BAD, "not the member or not the keys that it has")
    return Check("logs", listed.origin, OK)


def _fits(listed: ListedLog, log: LogEntry) -> bool:
    return listed.member == str(log.node.member) and set(listed.vkeys) <= {str(key) for key in log.keys}


def _no_right(exchange: Exchange, configuration: Configuration, path: Disclosure | None) -> str:
    """Why the request had not the right it names; empty where it had."""
    record, client = exchange.request.record, _client(exchange)
    if record["endpoint"] == NO_ENDPOINT:
        return "the request names no right, and the service needs one"
    endpoint = Endpoint.parse(record["endpoint"])
    service, member = configuration.service(_service(exchange)), configuration.member(client.member)
    if service is None or service.disabled is not None:
        return "the provider has no such service, or it is switched off"
    if member is None or not configuration.is_subsystem(client):
        return "the client's member has no such subsystem"
    table = service.table(str(client))
    if table is None or endpoint not in table.endpoints(str(client), member.lineage, record.number("time")):
        return f"{client} had no right to {endpoint}"
    if endpoint.method not in {"*", record["method"]}:
        return f"{endpoint} does not cover {record['method']}"
    if path is not None and not endpoint.covers(record["method"], (path.value or b"/").decode("utf-8", "replace")):
        return f"{endpoint} does not cover the path that was called"
    return ""


def _silent(exchange: Exchange, configuration: Configuration, at: int) -> str:
    """Which party's log did not speak for its member at a moment; empty where both did."""
    request = exchange.request.record
    consumer, provider = _client(exchange).member, _service(exchange).subsystem.member
    for member, origin in ((consumer, request["from"]), (provider, request["to"])):
        log = configuration.log(origin)
        if log is None or not log.speaks_for(member, at):
            return f"the log {origin} did not speak for {member}"
    return ""


def _client(exchange: Exchange) -> SubsystemId:
    return SubsystemId.parse(exchange.request.record["client"])


def _service(exchange: Exchange) -> ServiceId:
    return ServiceId.parse(exchange.request.record["service"])
