"""The text of a PDF as WeasyPrint writes it: glyphs of every page put back into letters by their fonts' ToUnicode maps.

For tests only: it understands just what is needed for that.
"""

from __future__ import annotations

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj(.*?)endobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_MAPPED = re.compile(rb"<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]+)>")
_SHOWN = re.compile(rb"/(\S+) [\d.]+ Tf|<([0-9A-Fa-f]*)>|(ET)")


def pdf_text(data: bytes) -> str:
    """All text of all pages, a line for each piece that was set."""
    objects = {int(number): body for number, body in _OBJECT.findall(_unpacked(data))}
    fonts = {}
    for body in objects.values():
        for name, number in re.findall(rb"/([\w-]+) (\d+) 0 R", body):
            target = objects.get(int(number), b"")
            if b"/ToUnicode" in target:
                fonts[name] = _letters(objects, target)
    return "\n".join(_set(_stream(body), fonts) for body in objects.values() if b" Tf" in _stream(body))


def _unpacked(data: bytes) -> bytes:
    """Objects that stand in object streams, written out beside the others."""
    more = b""
    for body in _OBJECT.findall(data):
        if b"/ObjStm" in body[1]:
            text = _stream(body[1])
            found = re.search(rb"/First (\d+)", body[1])
            assert found
            first = int(found[1])
            places = [int(each) for each in text[:first].split()]
            ends = [*places[3::2], len(text) - first]
            for number, start, end in zip(places[::2], places[1::2], ends, strict=True):
                more += b"%d 0 obj%sendobj\n" % (number, text[first + start : first + end])
    return data + more


def _stream(body: bytes) -> bytes:
    found = _STREAM.search(body)
    if found is None:
        return b""
    return zlib.decompress(found[1]) if b"/FlateDecode" in body else found[1]


def _letters(objects: dict[int, bytes], font: bytes) -> dict[str, str]:
    found = re.search(rb"/ToUnicode (\d+) 0 R", font)
    assert found
    text = _stream(objects[int(found[1])])
    return {
        glyph.decode().lower(): bytes.fromhex(letters.decode()).decode("utf-16-be")
        for glyph, letters in _MAPPED.findall(text)
    }


def _set(content: bytes, fonts: dict[bytes, dict[str, str]]) -> str:
    letters: dict[str, str] = {}
    told = []
    for font, glyphs, end in _SHOWN.findall(content):
        if font:
            letters = fonts.get(font, {})
        elif end:
            told.append("\n")
        else:
            text = glyphs.decode().lower()
            told += [letters.get(text[at : at + 4], "") for at in range(0, len(text), 4)]
    return "".join(told)
