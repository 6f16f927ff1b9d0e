"""The real provider of the embedded country: how Datasette is started over the code lists, and when it is ready.

A program that nobody here wrote, in a process of its own: read-only, on loopback, one worker, with SQL, downloads and
facets switched off, so that what it answers is what `codes.openapi.yaml` describes. It knows nothing of nodes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from qaztech.testing import codes

_METADATA = Path(__file__).with_name("codes.metadata.yaml")
# Datasette serves a file under its name without the suffix.
_DATABASE = "codes"
_SETTINGS = {
    "allow_csv_stream": "off",
    "allow_download": "off",
    "allow_facet": "off",
    "default_allow_sql": "off",
    # No caching: in a demonstration every call is an exchange.
    "default_cache_ttl": "0",
    "num_sql_threads": "1",
    "suggest_facets": "off",
}


# It would import these if they are there, for units of measure that no code has: seven MiB.
_START = """
import sys
sys.modules.update(dict.fromkeys(("numpy", "uncertainties", "babel", "dask", "mip")))
from datasette.cli import cli
cli()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesService:
    """Datasette over the ISO code lists, to be kept in `directory` and served on a port of 127.0.0.1."""

    directory: Path
    port: int

    @property
    def url(self) -> str:
        """What a node calls: the paths of the OpenAPI description begin behind it."""
        return f"http://127.0.0.1:{self.port}/{_DATABASE}"

    @property
    def openapi(self) -> Path:
        """The description of the service."""
        return codes.OPENAPI

    @property
    def database(self) -> Path:
        """The file that is served."""
        return self.directory / f"{_DATABASE}.db"

    def prepare(self) -> None:
        """Build the file anew: 0.2 s, and always what the installed lists say."""
        codes.build(self.database)

    def command(self) -> list[str]:
        """The command line. It writes one line a call to standard output, and what matters to standard error."""
        settings = [word for name, value in _SETTINGS.items() for word in ("--setting", name, value)]
        # -I: neither the working directory nor the environment can put another `datasette` in its place.
        program = [sys.executable, "-I", "-c", _START, "serve"]
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [*program, "--immutable", str(self.database), "--metadata", str(_METADATA), *address, *settings]

    def is_ready(self, *, timeout: float = 1.0) -> bool:
        """Whether it answers, and with the data it should have."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", f"/{_DATABASE}/countries/KZ.json?_shape=object")
            answer = connection.getresponse()
            return answer.status == 200 and answer.read().startswith(b'{"KZ"')
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
