"""The page's own files: scripts, styles, texts. Only what is in the folder at the start, each with its ETag."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import NotFound

_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".md": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}


class StaticFiles:
    """Serves a folder. A name that was not there at the start is not there."""

    def __init__(self, directory: Path) -> None:
        found = (p for p in directory.rglob("*") if p.is_file() and p.suffix in _TYPES)
        self._paths = {p.relative_to(directory).as_posix(): p for p in found}

    async def answer(self, request: Request) -> Response:
        """One file, or that it has not changed."""
        name = request.path_params["path"]
        path = self._paths.get(name)
        if path is None:
            raise NotFound("page.missing", "there is no such file", at="caller")
        data = path.read_bytes()
        tag = f'"{sha256(data).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if tag in [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=_TYPES[path.suffix])
