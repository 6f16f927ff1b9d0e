r"""Build the labelled sentences with personal data from their marked sources, and check them.

Run as `python scripts/build_pii_set.py` (writes) or with `--check` (only says whether the files are what the sources
give). A source line is `kk e TEXT` (language `kk`, `ru`, `en` or `mx`; `e`asy or `h`ard); `# …` sets the note of the
lines below it; `\n` is a line break. In a text `{iin|…}` marks a span; `?` inside a marked number stands for a check
digit, which is computed here, so that every identifier is valid. `tests/data/pii/README.md` states the conventions.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations, pairwise
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "tests/data/pii"
KINDS = (
    "iin", "bin", "iban", "phone", "id_card", "passport", "email", "plate", "name", "address", "card", "birth_date",
)  # fmt: skip
LEAST = dict.fromkeys(KINDS, 25) | dict.fromkeys(("name", "iin", "phone", "address"), 60)
LANGUAGES = {"kk": "kk", "ru": "ru", "en": "en", "mx": "mixed"}
MARK = re.compile(rf"\{{({'|'.join(KINDS)})\|([^{{}}]*)\}}")
# What a careless keyboard or a scanner puts in the place of a digit.
DIGITS = str.maketrans("０１２３４５６７８９OОoоlIІЗБбB", "012345678900001113668")
LATIN = str.maketrans("АВЕКМНОРСТХІ０１２３４５６７８９", "ABEKMHOPCTXI0123456789")
FULL_WIDTH = {chr(0xFF10 + n): str(n) for n in range(10)}
CARD_TESTS = (
    "400000",
    "401288",
    "411111",
    "424242",
    "510510",
    "520082",
    "555555",
    "222300",
    "378282",
    "371449",
    "620000",
)
SPELT = (
    "нөл бір екі үш төрт бес алты жеті сегіз тоғыз",
    "ноль один два три четыре пять шесть семь восемь девять",
    "zero one two three four five six seven eight nine",
)
WORDS = {word: str(digit) for words in SPELT for digit, word in enumerate(words.split())}
NEAR = 0.6


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text with its spans: start, end and kind, in code points."""

    id: str
    language: str
    difficulty: str
    text: str
    spans: tuple[tuple[int, int, str], ...]
    note: str

    def line(self) -> str:
        """The sentence as a line of JSON."""
        spans = [{"start": start, "end": end, "kind": kind} for start, end, kind in self.spans]
        whole = {"id": self.id, "language": self.language, "difficulty": self.difficulty, "text": self.text}
        return json.dumps(whole | {"spans": spans, "note": self.note}, ensure_ascii=False)


def check_digit(eleven: str) -> str | None:
    """The twelfth digit of an IIN or BIN; none where the first eleven can have none."""
    for weights in (range(1, 12), (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)):
        rest = sum(weight * int(digit) for weight, digit in zip(weights, eleven, strict=True)) % 11
        if rest < 10:
            return str(rest)
    return None


def luhn(digits: str) -> bool:
    """Whether the digits of a payment card end in the right one."""
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def mod97(iban: str) -> int:
    """The remainder of an IBAN, 1 where it is right."""
    return int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97


def bare(kind: str, written: str) -> str:
    """An identifier without spaces, dashes and look-alikes; empty where a number is not spelt digit by digit."""
    if kind == "iban":
        return re.sub(r"[^0-9A-Z?]", "", written.upper().translate(LATIN))
    written = written.replace("%20", " ").replace("%2B", "+")
    if kind == "iin":
        written = re.sub(r"[^\W\d_]+", lambda word: WORDS.get(word[0], word[0]), written)
    words_left_out = re.sub(r"(?<![\w?])(?![OОoоlIІ]+\b)[^\W\d_]+(?![\w?])", "", written)
    kept = re.sub(r"[\s.,:;/|_()\-–—\\·*'+]", "", words_left_out.translate(DIGITS))
    return kept if re.fullmatch(r"[0-9?]+", kept) else ""


def filled(kind: str, written: str) -> str:
    """The marked text with its check digits in the place of `?`."""
    if "?" not in written:
        return written
    plain = bare(kind, written)
    if kind == "iban":
        digits = f"{98 - mod97(plain.replace('?', '0')):02d}"
        return re.sub(r"\?", lambda _: digits_left.pop(0), written) if (digits_left := list(digits)) else written
    if kind == "card":
        digit = next(d for d in "0123456789" if luhn(plain.replace("?", d)))
    elif len(plain) != 12 or (found := check_digit(plain.replace("?", ""))) is None:
        return written
    else:
        digit = found
    wide = any(char in FULL_WIDTH for char in written)
    return written.replace("?", chr(0xFF10 + int(digit)) if wide else digit)


def wrong(kind: str, written: str) -> str | None:
    """Why a marked identifier is not a valid and plainly reserved one."""
    plain = bare(kind, written)
    if kind in {"iin", "bin"} and plain:
        if len(plain) != 12 or check_digit(plain[:11]) != plain[11]:
            return "checksum"
        year, month, century = int(plain[:2]), plain[2:4], plain[6]
        unborn = (century in "56" and year >= 60) or (century in "12" and year <= 85)
        if unborn and kind == "iin" and month != "13":
            date((18 if century in "12" else 20) * 100 + year, int(month), int(plain[4:6]))
        if not (month == "13" if kind == "bin" else unborn or month == "13"):
            return "not of the reserved range"
        if (plain[4] in "456") is not (kind == "bin"):
            return "fifth digit"
    if kind == "iban" and (len(plain) != 20 or mod97(plain) != 1 or plain[4:6] != "99"):
        return "not an IBAN of a reserved bank code"
    length = 15 if plain.startswith("37") else 16
    if kind == "card" and not (len(plain) == length and luhn(plain) and plain.startswith(CARD_TESTS)):
        return "not a card of a test range"
    if kind == "phone" and re.search(r"(?![OОoо]{3})[^\W\d_]{3,}", written):
        return None
    if kind == "phone" and plain and not re.search(r"000|00\d{4}$|55501|7946|23125", plain):
        return "not a reserved number"
    if kind == "id_card" and plain and not re.fullmatch(r"09[78]\d{6}", plain):
        return "not a reserved identity card"
    if kind == "phone" and plain and len(plain) not in {6, 7, 10, 11, 12, 13}:
        return "not of the length of a phone number"
    if kind == "passport" and not re.fullmatch(r"9[89]\d{6}", re.sub(r"[^\d]", "", written.translate(DIGITS))):
        return "not a reserved passport"
    return None


def unmarked(text: str) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """A source text as it is to be read, and its spans."""
    parts: list[str] = []
    spans = []
    length = done = 0
    for mark in MARK.finditer(text):
        before, inside = text[done : mark.start()], filled(mark[1], mark[2])
        spans.append((length + len(before), length + len(before) + len(inside), mark[1]))
        parts += [before, inside]
        length, done = length + len(before) + len(inside), mark.end()
    return "".join([*parts, text[done:]]), tuple(spans)


def sentences(split: str) -> Iterator[Sentence]:
    """The sentences of a split, as its source has them."""
    note, number = "", 0
    for line in (FOLDER / split / "source.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            note = line[2:]
        elif line.strip():
            language, difficulty, raw = line.split(" ", 2)
            number += 1
            text, spans = unmarked(raw.replace("\\n", "\n"))
            level = {"e": "easy", "h": "hard"}[difficulty]
            yield Sentence(f"{split}-{number:04d}", LANGUAGES[language], level, text, spans, note)


def others() -> Iterator[Sentence]:
    """The longer texts: blocks under a line `=== dev kk h note`."""
    blocks = re.split(r"^=== ", (FOLDER / "others.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    count: Counter[str] = Counter()
    for block in blocks:
        head, _, raw = block.partition("\n")
        split, language, difficulty, note = head.split(" ", 3)
        count[split] += 1
        text, spans = unmarked(raw.strip())
        level = {"e": "easy", "h": "hard"}[difficulty]
        yield Sentence(f"{split}-other-{count[split]:02d}", LANGUAGES[language], level, text, spans, note)


def faults(every: Iterable[Sentence]) -> Iterator[str]:
    """What is wrong with sentences taken one by one."""
    for sentence in every:
        end, text = 0, sentence.text
        for start, stop, kind in sentence.spans:
            written = text[start:stop]
            if start < end or stop <= start:
                yield f"{sentence.id}: spans overlap"
            if written != written.strip(" .,;:!?\n\"'«»“”") and not re.search(r"\b[^\W\d]{1,4}\.$", written):
                yield f"{sentence.id}: {written!r} has something around it"
            if why := wrong(kind, written):
                yield f"{sentence.id}: {kind} {written!r}: {why}"
            end = stop
        if re.search(r"\{\w+\|", text):
            yield f"{sentence.id}: a mark is left in the text"
        yield from (f"{sentence.id}: {number} outside a span has a right checksum" for number in stray(sentence))


def stray(sentence: Sentence) -> Iterator[str]:
    """Runs of twelve or sixteen digits outside spans that would pass as identifiers."""
    for found in re.finditer(r"(?<![\d０-９])\d(?:[ -]?\d){11,15}(?!\d)", sentence.text):
        if any(start < found.end() and found.start() < end for start, end, _ in sentence.spans):
            continue
        digits = re.sub(r"\D", "", found[0])
        if set(digits) == {"0"}:
            continue
        if (len(digits) == 12 and check_digit(digits[:11]) == digits[11]) or (len(digits) == 16 and luhn(digits)):
            yield found[0]


def shingles(text: str) -> set[str]:
    """The pairs of words of a text, numbers left out."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    return {f"{one} {two}" for one, two in pairwise(words)} or set(words)


def near(every: list[Sentence]) -> Iterator[str]:
    """Pairs of sentences that say the same with other numbers."""
    known = [(sentence.id, shingles(sentence.text)) for sentence in every]
    for (one, left), (two, right) in combinations(known, 2):
        if left and right and len(left & right) / min(len(left), len(right)) >= NEAR and len(left | right) > 4:
            yield f"{one} and {two} are nearly the same"


def shared(dev: list[Sentence], test: list[Sentence]) -> Iterator[str]:
    """Spans that stand in both splits letter by letter."""
    seen = {(kind, s.text[start:end].lower()) for s in dev for start, end, kind in s.spans}
    for sentence in test:
        for start, end, kind in sentence.spans:
            if (kind, sentence.text[start:end].lower()) in seen:
                yield f"{sentence.id}: {kind} {sentence.text[start:end]!r} is also in dev"


def too_few(split: str, every: list[Sentence]) -> Iterator[str]:
    """What the split still lacks."""
    kinds = Counter(kind for s in every for _, _, kind in s.spans)
    yield from (f"{split}: {kinds[kind]} of {least} {kind}" for kind, least in LEAST.items() if kinds[kind] < least)
    without = [s for s in every if not s.spans]
    shares = {
        "hard": sum(s.difficulty == "hard" for s in every) / len(every) / 0.5,
        "without spans": len(without) / len(every) / 0.25,
        "hard without spans": sum(s.difficulty == "hard" for s in without) / max(len(without), 1) / 0.5,
        "sentences": len(every) / 300,
    }
    yield from (f"{split}: too few {what} ({share:.0%})" for what, share in shares.items() if share < 1)


def counts(split: str, every: list[Sentence]) -> str:
    """A table of what a split holds."""
    cells = Counter((s.language, s.difficulty, bool(s.spans)) for s in every)
    kinds = Counter((kind, s.difficulty) for s in every for _, _, kind in s.spans)
    lines = [f"{split}: {len(every)} texts"]
    for language in LANGUAGES.values():
        row = [f"{d} {cells[language, d, True]}+{cells[language, d, False]}" for d in ("easy", "hard")]
        lines.append(f"  {language}: {', '.join(row)} (with + without spans)")
    lines += [f"  {kind}: {kinds[kind, 'easy']} easy, {kinds[kind, 'hard']} hard" for kind in KINDS]
    return "\n".join(lines)


def main() -> int:
    """Build, check, count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check: bool = parser.parse_args().check
    splits = {name: list(sentences(name)) for name in ("dev", "test")}
    made = {FOLDER / name / "sentences.jsonl": every for name, every in splits.items()}
    made[FOLDER / "others.jsonl"] = longer = list(others())
    found = [fault for every in made.values() for fault in faults(every)]
    found += near([sentence for every in splits.values() for sentence in every])
    whole = {name: every + [s for s in longer if s.id.startswith(name)] for name, every in splits.items()}
    found += shared(whole["dev"], whole["test"])
    found += [lack for name, every in splits.items() for lack in too_few(name, every)]
    found += [f"{s.id}: {len(s.text)} characters" for s in longer if not 300 <= len(s.text) <= 1500]
    for path, every in made.items():
        text = "".join(f"{sentence.line()}\n" for sentence in every)
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            found.append(f"{path.name} is not what its source gives")
        print(counts(str(path.relative_to(FOLDER)), every))
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
