"""Which texts are near one another in meaning, whatever their languages.

Every sentence of this model is near every other (cosine 0.75 and more), and sentences of one language nearer than
those of two, so no threshold on the cosine means anything. Three things are done instead. The mean of a language is
taken off its vectors. Nearness is how much two texts are nearer to one another than each is to its own nearest few in
the other's language (CSLS, Conneau et al. 2018). And only the nearest few of each object are looked at. Work is done in
blocks of a matrix, so that 5,000 objects need neither Python loops over pairs nor more than some tens of megabytes.

A small register has no neighbourhood to measure by: its texts are set among ordinary texts of a fixed background
(`background.npy`, made by scripts/comparing_background.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

# How many near ones make a text's neighbourhood.
NEIGHBOURHOOD: Final = 10
# A register with fewer texts is set among those of the background, which are in equal parts in these languages.
FEW: Final = 300
BACKGROUND: Final = Path(__file__).parent / "background.npy"
LANGUAGES: Final = ("kk", "ru", "en")
# Texts as near as this are one text, not neighbours.
_SAME: Final = 0.97
_BLOCK: Final = 512
_FAR: Final = -9.0


@cache
def _background() -> Any:
    """Vectors of the background, and their languages."""
    import numpy as np  # noqa: PLC0415  # an optional part

    vectors = np.load(BACKGROUND, allow_pickle=False).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, [language for language in LANGUAGES for _ in range(len(vectors) // len(LANGUAGES))]


class Space:
    """Vectors of texts with their languages; rows of `vectors` have length one.

    `whose` tells texts of one object, which are no neighbours of one another.
    """

    def __init__(self, vectors: Floats, languages: Sequence[str], whose: Sequence[str]) -> None:
        import numpy as np  # noqa: PLC0415  # an optional part

        self._np = np
        self._count = len(vectors)
        if self._count < FEW:
            others, spoken = _background()
            vectors, languages = np.vstack([vectors, others]), [*languages, *spoken]
        number_of = {one: number for number, one in enumerate(dict.fromkeys(whose))}
        strangers = -1 - np.arange(len(vectors) - self._count)
        self._whose = np.concatenate([np.array([number_of[one] for one in whose], dtype=np.int64), strangers])
        self._spoken = sorted(set(languages))
        self._language = np.array([self._spoken.index(one) for one in languages], dtype=np.int64)
        centred = vectors.copy()
        for number in range(len(self._spoken)):
            rows = self._language == number
            centred[rows] -= vectors[rows].mean(axis=0)
        self._vectors: Floats = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
        # For each text and language, how near the nearest few of that language are.
        self._near = self._neighbourhoods()
        self._vectors, self._language = self._vectors[: self._count], self._language[: self._count]

    def _neighbourhoods(self) -> Any:
        np = self._np
        near = np.zeros((self._count, len(self._spoken)), dtype=np.float32)
        for number in range(len(self._spoken)):
            columns = np.flatnonzero(self._language == number)
            most = min(NEIGHBOURHOOD, len(columns))
            for start in range(0, self._count, _BLOCK):
                rows = np.arange(start, min(start + _BLOCK, self._count))
                nearness = self._vectors[rows] @ self._vectors[columns].T
                own = self._whose[rows][:, None] == self._whose[columns][None]
                nearness[own | ((columns >= self._count) & (nearness > _SAME))] = _FAR
                top = np.partition(nearness, nearness.shape[1] - most, axis=1)[:, -most:]
                near[rows, number] = np.maximum(top, -1).mean(axis=1)
        return near

    def nearest(self, most: int) -> list[tuple[int, int, float]]:
        """For each text the nearest few: its place, theirs, and the margin by which they are near (CSLS)."""
        np = self._np
        count = self._count
        most = min(most, count - 1)
        found: list[tuple[int, int, float]] = []
        if most < 1:
            return found
        for start in range(0, count, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, count))
            margin = 2 * (self._vectors[rows] @ self._vectors.T)
            margin -= self._near[rows][:, self._language]
            margin -= self._near[:, self._language[rows]].T
            margin[rows - start, rows] = _FAR
            best = np.argpartition(-margin, most - 1, axis=1)[:, :most]
            for row, places in zip(rows, best, strict=True):
                found += [(int(row), int(place), float(margin[row - start, place])) for place in places]
        return found

    def margin(self, one: int, other: int) -> float:
        """The margin by which two texts are near."""
        nearness = float(self._vectors[one] @ self._vectors[other])
        return 2 * nearness - float(self._near[one, self._language[other]] + self._near[other, self._language[one]])
