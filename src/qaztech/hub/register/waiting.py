"""Files between two steps of an import: brought by a person, looked at, and taken or forgotten after a day.

Each is a folder under a name nobody can guess, with what the person has said of it so far; only who brought it sees it.
Not here: reading it (`workbook`).
"""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path, PurePath
from typing import Final

import msgspec

from qaztech.core.errors import Limited, Malformed, NotFound
from qaztech.hub.register.mapping import Mapping
from qaztech.hub.register.sheets import MOST_FILE, not_a_table, too_large

KEPT_MS: Final = 24 * 3600 * 1000
# Files of one person that wait at once, and bytes of all files.
MOST_WAITING: Final = 20
MOST_BYTES: Final = 8 * 1024**3
SUFFIXES: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".csv", ".tsv", ".txt", ".zip", ".xml")
_ABOUT: Final = "about.json"
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a waiting file: `file` as it was called, who brought it when, and what was said of it.

    `decisions` by `sheet:row`; `empties`: an empty cell empties its field; `done` the batch it became, `left` the rows
    left out then.
    """

    file: str
    suffix: str
    by: str
    at: int
    mapping: Mapping | None = None
    decisions: dict[str, str] = {}
    empties: bool = False
    done: int | None = None
    left: int = 0


class Waiting:
    """The files that wait, in a folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, file: str, data: bytes, *, by: str, at: int) -> str:
        """Keep a file that a person has brought; gives the name it waits under.

        What was imported already makes room for it. Raises `Malformed` for one that is too large or of no known kind,
        `Limited` where too many of this person wait, or too much of all.
        """
        if len(data) > MOST_FILE:
            raise too_large(f"a file of more than {MOST_FILE // 1024**2} MiB")
        name = PurePath(file.replace("\\", "/")).name[-120:] or "file"
        suffix = PurePath(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise not_a_table("a register comes as .xlsx, .xls, .ods, .csv, or .zip of CSV files")
        self.clean(at)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._make_room(by, len(data))
        token = secrets.token_hex(16)
        folder = self._directory / token
        folder.mkdir(mode=0o700)
        # The name of a CSV file is the name of its sheet.
        (folder / _stored(name, suffix)).write_bytes(data)
        self.say(token, About(file=name, suffix=suffix, by=by, at=at))
        return token

    def about(self, token: str, *, by: str) -> About:
        """What is known of a file; for others than who brought it there is none. Raises `NotFound`."""
        missing = NotFound("import.unknown", "no such file waits, or no longer", at="caller")
        if not _TOKEN.fullmatch(token):
            raise missing
        try:
            about = msgspec.json.decode((self._directory / token / _ABOUT).read_bytes(), type=About)
        except (OSError, msgspec.MsgspecError):
            raise missing from None
        if about.by != by:
            raise missing
        return about

    def path(self, token: str, about: About) -> Path:
        """Where the file is."""
        return self._directory / token / _stored(about.file, about.suffix)

    def say(self, token: str, about: About) -> None:
        """Note what a person has said of it."""
        place = self._directory / token / _ABOUT
        fresh = place.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(about))
        fresh.replace(place)

    def drop(self, token: str) -> None:
        """Forget a file."""
        if not _TOKEN.fullmatch(token):
            raise Malformed("import.unknown", "no such file waits", at="caller")
        shutil.rmtree(self._directory / token, ignore_errors=True)

    def mine(self, by: str) -> list[tuple[str, About]]:
        """The files of a person that wait, the newest first."""
        found = []
        for folder in self._directory.iterdir() if self._directory.is_dir() else ():
            try:
                found.append((folder.name, self.about(folder.name, by=by)))
            except NotFound:
                continue
        return sorted(found, key=lambda each: -each[1].at)

    def _make_room(self, by: str, size: int) -> None:
        mine = self.mine(by)
        done = [token for token, about in mine if about.done is not None]
        over = len(mine) + 1 - MOST_WAITING
        if over > len(done):
            raise Limited("import.waiting", "too many files of yours wait", at="caller", retry_after=3600)
        for token in reversed(done[len(done) - over :] if over > 0 else []):
            self.drop(token)
        if sum(path.stat().st_size for path in self._directory.glob("*/*")) + size > MOST_BYTES:
            raise Limited("import.space", "too much waits to be imported", at="service", retry_after=3600)

    def clean(self, now: int) -> None:
        """Forget what has waited for a day."""
        for folder in self._directory.iterdir() if self._directory.is_dir() else ():
            try:
                at = msgspec.json.decode((folder / _ABOUT).read_bytes(), type=About).at
            except (OSError, msgspec.MsgspecError):
                at = 0
            if _TOKEN.fullmatch(folder.name) and now - at > KEPT_MS:
                shutil.rmtree(folder, ignore_errors=True)


def _stored(name: str, suffix: str) -> str:
    stem = re.sub(r"[^\w -]", "_", PurePath(name).stem)[:60].strip() or "file"
    return f"{stem.encode()[:200].decode(errors='ignore')}{suffix}"
