"""Who calls a service that stands behind its own node on this machine: what that node says, and nobody else may.

A node has verified its caller and names it in X-Road's headers. Not for what listens to others: a header proves nothing
there.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

from qaztech.core.errors import Forbidden, Limited
from qaztech.core.ids import SubsystemId
from qaztech.runtime.shell import is_loopback

# This machine, as its node names it.
_HERE: Final = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


def require_node(request: Request) -> None:
    """Raises `Forbidden`, also to a page from elsewhere in a browser here: it names its own host (DNS rebinding)."""
    elsewhere = not all(_HERE.fullmatch(host) for host in request.headers.getlist("host"))
    if request.client is None or not is_loopback(request.client.host) or elsewhere:
        raise Forbidden("operational.remote", "this service is reached through the centre's node only", at="caller")


def calling_system(request: Request) -> SubsystemId:
    """Who calls, as the own node says. Raises `Forbidden` to whoever does not come from this machine."""
    require_node(request)
    return SubsystemId.parse(request.headers.get("x-road-client", ""))


async def short_body(request: Request, most: int) -> bytes:
    """A body of at most so many bytes. Raises `Limited`."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise Limited("request.too-large", f"at most {most} bytes", at="caller")
    return body
