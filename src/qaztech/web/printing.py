"""Pages as PDF: by WeasyPrint (extra `analysis`) in a process of its own, which fetches nothing from anywhere.

What it may read are this site's style sheets. Bounded memory and time: a page that is too much for it costs that page.
Without WeasyPrint, or the Debian libraries it needs, it says so; a browser can print the page all the same.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from qaztech.core.errors import Limited, Unavailable
from qaztech.runtime.settings import child_environment
from qaztech.web.texts import STATIC

MOST_MEMORY: Final = 2 * 1024**3
MOST_SECONDS: Final = 60
# Bytes of a page.
MOST_BYTES: Final = 8 * 1024**2
# Style sheets are named as pages name them; the site's own address stands for this folder.
BASE: Final = "https://site.invalid/"
_NO_ENGINE: Final = 3
# Each takes a processor and memory for seconds: more at once would keep everybody else waiting.
_TURNS: Final = threading.BoundedSemaphore(2)


def can_print() -> bool:
    """Whether WeasyPrint is installed; whether its libraries are there shows when it prints."""
    return find_spec("weasyprint") is not None


def print_pdf(text: str) -> bytes:
    """A page as PDF. Waits for another process: call it off the loop. Raises `Limited` and `Unavailable`."""
    data = text.encode()
    if len(data) > MOST_BYTES:
        raise Unavailable("print.large", "the page is too long to be printed here", at="service")
    if not _TURNS.acquire(blocking=False):
        raise Limited("print.busy", "others print at this moment", at="service", retry_after=10)
    try:
        return _printed(data)
    finally:
        _TURNS.release()


def _printed(data: bytes) -> bytes:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "qaztech.web.printing"], input=data, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, timeout=MOST_SECONDS, env=child_environment(), check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise Unavailable("print.failed", "the page was not printed in time", at="service") from exc
    if done.returncode == _NO_ENGINE:
        raise Unavailable("print.no-engine", "install qaztech[analysis] and libpango to make PDF", at="service")
    if done.returncode or not done.stdout.startswith(b"%PDF-"):
        raise Unavailable("print.failed", "the page could not be printed", at="service")
    return done.stdout


def own_style(url: str) -> bytes:
    """A style sheet of this site. Raises `ValueError` for everything else."""
    parts = urlsplit(url)
    path = PurePosixPath(parts.path)
    own = (parts.scheme, parts.netloc, str(path.parent), path.suffix) == ("https", "site.invalid", "/static", ".css")
    if not own:
        raise ValueError(url)
    return (STATIC / path.name).read_bytes()


def _main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    try:
        engine, urls = import_module("weasyprint"), import_module("weasyprint.urls")  # an extra
    except (ImportError, OSError):
        return _NO_ENGINE

    class Own(urls.URLFetcher):  # type: ignore[misc,name-defined]  # without types
        def fetch(self, url: str, headers: Any = None) -> Any:  # noqa: ARG002  # as WeasyPrint calls it
            return urls.URLFetcherResponse(url, own_style(url), {"Content-Type": "text/css"})

    text = sys.stdin.buffer.read(MOST_BYTES).decode()
    sys.stdout.buffer.write(
        engine.HTML(string=text, base_url=BASE, url_fetcher=Own()).write_pdf(pdf_variant="pdf/ua-1")
    )
    return 0


if __name__ == "__main__":
    sys.exit(_main())
