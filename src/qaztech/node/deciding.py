"""What the provider's node decides about a request whose record is in order: taken, or refused on record, and why."""

from __future__ import annotations

from qaztech.core.errors import Error, Forbidden, NotFound, Unavailable, Untrusted
from qaztech.core.exchange import needs_no_right
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.record import NO_ENDPOINT, Record
from qaztech.core.rights import Endpoint
from qaztech.node.frames import Request
from qaztech.node.place import Systems
from qaztech.registry.configuration import Configuration


def reason_to_refuse(
    record: Record,
    frame: Request,
    client: SubsystemId,
    service: ServiceId,
    *,
    configuration: Configuration,
    systems: Systems,
    now: int,
) -> Error | None:
    """Why a request is refused, None when it is taken. Raises `Untrusted` where the record contradicts the call."""
    method = record["method"]
    if record["endpoint"] == NO_ENDPOINT:
        if not needs_no_right(service.code, method) or configuration.service(service) is not None:
            return Forbidden("access-right.missing", f"Request is not allowed: SERVICE:{service}")
        return systems.refusal(service, client, record["endpoint"])
    endpoint = Endpoint.parse(record["endpoint"])
    if not endpoint.covers(method, frame.path or "/"):
        raise Untrusted("request.untrusted", "the endpoint recorded does not cover the call", at="caller")
    shown = configuration.service(service)
    if shown is None or not systems.has(service):
        return NotFound("service.unknown", f"Unknown service: SERVICE:{service}")
    if shown.disabled is not None:  # the caller's node may not have heard of it yet
        return Unavailable(
            "service.disabled", f"Service SERVICE:{service} is disabled: {shown.disabled}", at="provider-node"
        )
    if not configuration.gives(client, service, endpoint, now):
        return Forbidden("access-right.missing", f"Request is not allowed: SERVICE:{service}")
    return systems.refusal(service, client, record["endpoint"])
