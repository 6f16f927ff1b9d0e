"""The TLS contexts of a node's links and edge, which take up other files without dropping a connection.

A context that listens is kept and given its new certificate: who is connected stays so, whoever comes next is shown the
new one. What cannot be loaded changes nothing. Not here: whose key a peer has (`link`), and when files change
(`certificate`).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qaztech.core.errors import Malformed
from qaztech.trust.certificates import client_context, server_context


class LinkTls:
    """The contexts of links. `authorities` gives the PEM certificates that peers' must come from."""

    def __init__(self, certificate: Path, key: Path, authorities: Callable[[], Sequence[str]]) -> None:
        self._certificate = certificate
        self._key = key
        self._authorities = authorities
        self._server: ssl.SSLContext | None = None

    def client(self) -> ssl.SSLContext:
        """A context to dial with, from the files as they are now."""
        return client_context(self._certificate, self._key, self._authorities())

    def server(self) -> ssl.SSLContext:
        """The context to listen with; there is one, and `reload` changes it."""
        if self._server is None:
            self._server = server_context(self._certificate, self._key, self._authorities())
        return self._server

    def reload(self) -> None:
        """Show the certificate there is now, and believe authorities that were added. Raises `Malformed`.

        One that was taken away is believed until the next start; it lets nobody in whom no member file names.
        """
        authorities = self._authorities()
        server_context(self._certificate, self._key, authorities)  # what does not load must not be half loaded
        if self._server is not None:
            self._server.load_cert_chain(self._certificate, self._key)
            self._server.load_verify_locations(cadata="\n".join(authorities))


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeFiles:
    """The edge's own PEM files; `ca` is what client certificates are verified by, if at all."""

    certificate: Path
    key: Path
    ca: Path | None


class EdgeTls:
    """The context of the edge; None where it speaks plain HTTP."""

    def __init__(self, files: EdgeFiles | None) -> None:
        self._files = files
        self._context: ssl.SSLContext | None = None
        self._seen: tuple[tuple[int, int], ...] = ()
        self._shown: bytes | None = None

    def context(self) -> ssl.SSLContext | None:
        """The context to listen with. Raises `Malformed`."""
        if self._files is not None and self._context is None:
            self._seen = self._state(self._files)
            self._context = _edge_context(self._files)
            self._shown = self._files.certificate.read_bytes()
        return self._context

    def certificate(self) -> bytes | None:
        """The certificate (PEM) that is shown; None where there is none."""
        return self._shown

    def reload(self) -> bool:
        """Take up other files, if they are others; whether they were. Raises `Malformed`, and will try again."""
        if self._files is None or self._context is None:
            return False
        state = self._state(self._files)
        if state == self._seen:
            return False
        _edge_context(self._files)
        self._context.load_cert_chain(self._files.certificate, self._files.key)
        if self._files.ca is not None:
            self._context.load_verify_locations(self._files.ca)
        self._seen, self._shown = state, self._files.certificate.read_bytes()
        return True

    @staticmethod
    def _state(files: EdgeFiles) -> tuple[tuple[int, int], ...]:
        try:
            found = [path.stat() for path in (files.certificate, files.key, files.ca) if path is not None]
        except OSError as exc:
            raise Malformed("certificate.edge", f"the edge's {exc.filename} cannot be read") from exc
        return tuple((each.st_mtime_ns, each.st_size) for each in found)


def _edge_context(files: EdgeFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.ca is not None:
            context.load_verify_locations(files.ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ValueError) as exc:
        detail = f"the edge's certificate, key or ca cannot be loaded: {files.certificate}"
        raise Malformed("certificate.edge", detail) from exc
    return context
