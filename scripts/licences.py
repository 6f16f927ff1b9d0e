"""What licence a package is under, by what it says of itself, and whether QazTech may carry it.

A package says it by an SPDX expression (PEP 639), by classifiers, or by a line of text, in that order of trust. Where
several classifiers stand all of them must be allowed. Not a lawyer: a package whose word cannot be read is refused, and
a person decides.
"""

from __future__ import annotations

import re
from email.message import Message

# Licences that ask for no more than notices, or for changes to their own files (MPL).
ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "LicenseRef-BSD",
    "LicenseRef-Public-Domain", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
})  # fmt: skip
# Packages with another licence, each with the reason why it may be carried.
EXCEPTIONS = {
    # A library of names and codes, unchanged and replaceable, for the embedded country's provider only (extra `demo`).
    "pycountry": "LGPL-2.1-only",
    # Drivers of PostgreSQL, unchanged and replaceable, loaded only where the setting `database` names one.
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
    # Hyphenation for WeasyPrint, which asks for it (extra `analysis`); its three licences are a choice: MPL is taken.
    "pyphen": "GPL-2.0-or-later AND LGPL-2.0-or-later AND MPL-1.1",
}
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "LicenseRef-BSD",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": "LicenseRef-Public-Domain",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
_TEXTS = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache-2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "mit": "MIT",
    "mit license": "MIT",
}


def canonical(name: str) -> str:
    """A package's name as locks spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(metadata: Message) -> str:
    """The licence as an SPDX expression, from a distribution's METADATA; empty where it cannot be told."""
    expression = str(metadata.get("License-Expression") or "").strip()
    if expression:
        return expression
    named = [str(c).rsplit("::", 1)[-1].strip() for c in metadata.get_all("Classifier") or [] if "License ::" in str(c)]
    named = [name for name in named if name != "OSI Approved"]
    if named:
        return " AND ".join(_CLASSIFIERS[name] for name in named) if all(n in _CLASSIFIERS for n in named) else ""
    return _TEXTS.get(str(metadata.get("License") or "").strip().lower(), "")


def is_allowed(name: str, expression: str) -> bool:
    """Whether a package may be carried: one alternative whose every part is allowed. Parentheses are for a person."""
    if EXCEPTIONS.get(canonical(name)) == expression:
        return True
    alternatives = [re.split(r"\s+AND\s+", part.strip()) for part in re.split(r"\s+OR\s+", expression)]
    return any(all(word in ALLOWED for word in words) for words in alternatives)
