# ruff: noqa: INP001, T201
"""Compare a log that is served with a checkpoint that was kept: whether the log has only grown.

`python3 grown.py URL KEPT [TOKEN]`: where the log is, the file with the checkpoint, a file with an API token. It
fetches every entry and computes both roots again, by RFC 6962 and C2SP tlog-tiles. It shares no code with the rest,
needs the standard library only, and looks at no signature: what was kept is trusted because it was kept.
"""

import hashlib
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

BUNDLE = 256


def get(url: str, headers: dict[str, str]) -> bytes:
    """What is found at a URL."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:  # noqa: S310
        return answer.read()


def place(number: int, width: int) -> str:
    """The path of a bundle of entries by its number: `tile/entries/x001/234`, or `….p/5` where it holds five."""
    digits = str(number).zfill((len(str(number)) + 2) // 3 * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    partial = "" if width == BUNDLE else f".p/{width}"
    return "tile/entries/" + "/".join([*("x" + part for part in parts[:-1]), parts[-1]]) + partial


def leaves(url: str, headers: dict[str, str], size: int) -> Iterator[bytes]:
    """The hashes of all entries, in order; before each entry stands its length in two bytes."""
    for first in range(0, size, BUNDLE):
        width = min(BUNDLE, size - first)
        data, at = get(f"{url}/{place(first // BUNDLE, width)}", headers), 0
        for _ in range(width):
            start = at + 2
            at = start + int.from_bytes(data[at:start], "big")
            yield hashlib.sha256(b"\0" + data[start:at]).digest()


def root(hashes: list[bytes]) -> bytes:
    """The root of a tree of these leaves (RFC 6962, section 2.1)."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(hashes[:half]) + root(hashes[half:])).digest()


def main(url: str, kept_file: str, token_file: str | None = None) -> int:
    """Print a line for the kept checkpoint and one for the newest; 0 if both are of one log that only grew."""
    headers = {"Authorization": f"Bearer {Path(token_file).read_text().strip()}"} if token_file else {}
    kept = Path(kept_file).read_text(encoding="utf-8").split("\n")
    newest = get(f"{url}/checkpoint", headers).decode().split("\n")
    hashes = list(leaves(url, headers, int(newest[1])))
    failed = 0
    for origin, size, named, *_ in (kept, newest):
        here = origin == newest[0] and int(size) <= len(hashes)
        same = here and b64encode(root(hashes[: int(size)])).decode() == named
        failed += not same
        print("ok " if same else "BAD", origin, size, named)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
