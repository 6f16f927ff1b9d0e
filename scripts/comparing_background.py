"""Make the background that texts of a small register are compared against: `python scripts/comparing_background.py`.

Vectors of ordinary texts of the labelled set's development split, of systems in no planted pair: 60 in each
language, each with its name, as bytes. Needs `qaztech[embeddings]`.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np

from qaztech.hub.comparing.embedding import Embedder
from qaztech.hub.comparing.neighbours import BACKGROUND, LANGUAGES
from qaztech.hub.comparing.texts import Text, texts_of
from qaztech.hub.register.loading import load_register

SPLIT = Path(__file__).parent.parent / "tests/data/labelled/dev"
AS_OF = date(2026, 11, 23)
EACH = 60
ALIKE = {"duplicate", "resurrected"}


def main() -> None:
    """Write the file."""
    labels = json.loads((SPLIT / "labels.json").read_bytes())
    pairs = [each["objects"] for each in labels if each["detector"] in ALIKE and each["kind"] == "planted"]
    planted = {id_ for pair in pairs for id_ in pair}
    objects = load_register(SPLIT, AS_OF).register.objects
    texts = [text for id_, object_ in sorted(objects.items()) if id_ not in planted for text in texts_of(object_)]
    chosen: list[Text] = []
    for language in LANGUAGES:
        spoken = [text for text in texts if text.language == language]
        chosen += spoken[:: max(len(spoken) // EACH, 1)][:EACH]
        assert len(chosen) % EACH == 0, language
    vectors = Embedder().vectors([(text.name, text.purpose) for text in chosen])
    np.save(BACKGROUND, np.rint(vectors / np.abs(vectors).max() * 127).astype(np.int8), allow_pickle=False)
    print(BACKGROUND, vectors.shape)


if __name__ == "__main__":
    main()
