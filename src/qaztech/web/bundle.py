"""One script out of the page's modules, for a file that must stand alone.

The modules in `static` import each other by relative names, one statement a module, and export by name; that much of
JavaScript is read here and no more. Each becomes a function of its own, so no name of one is seen by another.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\./[^"]+)";$|^import \* as (\w+) from "(\./[^"]+)";$', re.MULTILINE)
_EXPORTED = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
_EXPORT_LIST = re.compile(r"^export \{([^}]*)\};$", re.MULTILINE)


def bundle(directory: Path, entry: str) -> str:
    """The text of a script (a module) that does what `entry` does, with everything it imports in it."""
    parts: dict[str, str] = {}
    _add(directory, normpath(entry), parts)
    return "\n".join(parts.values())


def _add(directory: Path, name: str, parts: dict[str, str]) -> str:
    """Put a module behind those it imports; the name under which its exports are found."""
    variable = "m_" + re.sub(r"\W", "_", name)
    if name in parts:
        return variable
    text = (directory / name).read_text(encoding="utf-8")

    def imported(match: re.Match[str]) -> str:
        path = normpath(join(dirname(name), match[2] or match[4]))
        source = _add(directory, path, parts)
        names = match[3] or "{" + match[1].replace(" as ", ": ") + "}"
        return f"const {names} = {source};"

    text = _IMPORT.sub(imported, text)
    exports = _EXPORTED.findall(text)
    for names in _EXPORT_LIST.findall(text):
        exports += [one.strip() for one in names.split(",") if one.strip()]
    text = _EXPORT_LIST.sub("", _EXPORTED.sub("", text))
    if exports:
        text = f"const {variable} = (() => {{\n{text}\nreturn {{ {', '.join(exports)} }};\n}})();"
    parts[name] = text
    return variable
