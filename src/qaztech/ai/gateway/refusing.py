"""Errors as clients of the OpenAI API read them."""

from __future__ import annotations

from typing import Any, Final

from qaztech.ai.gateway import answers
from qaztech.core.errors import Error
from qaztech.node.http_request import Request

JSON: Final = b"Content-Type:application/json\r\nCache-Control:no-store\r\n"


def error_body(error: Error) -> dict[str, Any]:
    """An error as clients of the OpenAI API read it."""
    kind = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    return {
        "message": error.detail,
        "type": kind.get(error.status, "not_found_error" if error.status == 404 else "server_error"),
        "param": None,
        "code": error.code,
    }


def respond_error(request: Request, error: Error, lines: bytes = b"") -> None:
    """Answer with an error."""
    head = JSON + lines
    if error.retry_after is not None:
        head += b"Retry-After:%d\r\n" % error.retry_after
    if error.status == 401:
        head += b"WWW-Authenticate:Bearer\r\n"
    request.respond(error.status, head, answers.encode({"error": error_body(error)}))
