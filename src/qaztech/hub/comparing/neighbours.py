"""Which texts are near one another in meaning, whatever their languages.

Every sentence of this model is near every other (cosine 0.75 and more), and sentences of one language nearer than
those of two, so no threshold on the cosine means anything. Three things are done instead. The mean of a language is
taken off its vectors. Nearness is how much two texts are nearer to one another than each is to its own nearest few in
the other's language (CSLS, Conneau et al. 2018). And only the nearest few of each object are looked at. Work is done in
blocks of a matrix, so that 5,000 objects need neither Python loops over pairs nor more than some tens of megabytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

# How many near ones make a text's neighbourhood.
NEIGHBOURHOOD: Final = 10
_BLOCK: Final = 512
_FAR: Final = -9.0


class Space:
    """Vectors of texts with their languages; rows of `vectors` have length one.

    `means` are those of languages (rows, in the order of `spoken`); None takes them from the vectors themselves.
    """

    def __init__(self, vectors: Floats, languages: Sequence[str]) -> None:
        import numpy as np  # noqa: PLC0415  # an optional part

        self._np = np
        self.spoken = sorted(set(languages))
        self.language = np.array([self.spoken.index(one) for one in languages], dtype=np.int64)
        centred = vectors.copy()
        for number in range(len(self.spoken)):
            rows = self.language == number
            centred[rows] -= vectors[rows].mean(axis=0)
        self.vectors: Floats = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
        # For each text and language, how near the nearest few of that language are.
        self._near = self._neighbourhoods()

    def _neighbourhoods(self) -> Any:
        np = self._np
        count = len(self.vectors)
        near = np.zeros((count, len(self.spoken)), dtype=np.float32)
        for number in range(len(self.spoken)):
            columns = np.flatnonzero(self.language == number)
            most = min(NEIGHBOURHOOD, max(len(columns) - 1, 1))
            for start in range(0, count, _BLOCK):
                rows = np.arange(start, min(start + _BLOCK, count))
                nearness = self.vectors[rows] @ self.vectors[columns].T
                nearness[rows[:, None] == columns[None]] = _FAR
                top = np.partition(nearness, nearness.shape[1] - most, axis=1)[:, -most:]
                near[rows, number] = np.maximum(top, -1).mean(axis=1)
        return near

    def nearest(self, most: int) -> list[tuple[int, int, float]]:
        """For each text the nearest few: its place, theirs, and the margin by which they are near (CSLS)."""
        np = self._np
        count = len(self.vectors)
        most = min(most, count - 1)
        found: list[tuple[int, int, float]] = []
        if most < 1:
            return found
        for start in range(0, count, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, count))
            margin = 2 * (self.vectors[rows] @ self.vectors.T)
            margin -= self._near[rows][:, self.language]
            margin -= self._near[:, self.language[rows]].T
            margin[rows - start, rows] = _FAR
            best = np.argpartition(-margin, most - 1, axis=1)[:, :most]
            for row, places in zip(rows, best, strict=True):
                found += [(int(row), int(place), float(margin[row - start, place])) for place in places]
        return found

    def margin(self, one: int, other: int) -> float:
        """The margin by which two texts are near."""
        nearness = float(self.vectors[one] @ self.vectors[other])
        return 2 * nearness - float(self._near[one, self.language[other]] + self._near[other, self.language[one]])
