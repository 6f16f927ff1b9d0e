"""A streamed body kept until it is verified: small ones in memory, larger ones in a nameless file, encrypted.

The key lives in memory only and is never used twice, so nothing readable is left on the disk whatever happens.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

IN_MEMORY = 64 * 1024


class Spool:
    """Written once from front to end, then read once from front to end."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._memory: list[bytes] = []
        self._file: BinaryIO | None = None
        self._cipher: CipherContext | None = None
        self._key = b""
        self.size = 0

    def write(self, data: bytes) -> None:
        """Keep the next bytes. Raises `OSError` when the disk does not take them."""
        self.size += len(data)
        if self._file is None and self.size <= IN_MEMORY:
            self._memory.append(data)
            return
        if self._file is None or self._cipher is None:
            self._key = os.urandom(32)
            self._cipher = Cipher(AES(self._key), CTR(bytes(16))).encryptor()
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115  # open until `close`
            memory, self._memory = self._memory, []
            for piece in memory:
                self._put(piece)
        self._put(data)

    def rewind(self) -> None:
        """From here on it is read."""
        if self._file is not None:
            self._file.seek(0)
            self._cipher = Cipher(AES(self._key), CTR(bytes(16))).decryptor()

    def read(self, size: int) -> bytes:
        """The next bytes; empty at the end."""
        if self._file is None or self._cipher is None:
            return self._memory.pop(0) if self._memory else b""
        return self._cipher.update(self._file.read(size))

    def close(self) -> None:
        """Forget everything."""
        self._memory.clear()
        self._key = b""
        if self._file is not None:
            self._file.close()

    def _put(self, data: bytes) -> None:
        if self._file is None or self._cipher is None:
            return
        view = memoryview(self._cipher.update(data))
        while view:
            view = view[self._file.write(view) :]
