"""Reads a model with pyArchimate, says what it found, and writes the model again: `reader.py MODEL AGAIN`."""

import json
import sys

from pyArchimate.pyArchimate import Model, Writers

model = Model("read")
model.read(sys.argv[1])
print(
    json.dumps(
        {
            "elements": [[e.type, e.name, e.desc, dict(e.props)] for e in model.elements],
            "relationships": [[r.type, r.source.name, r.target.name, r.name] for r in model.relationships],
        },
        ensure_ascii=False,
    )
)
model.write(sys.argv[2], Writers.archimate)
