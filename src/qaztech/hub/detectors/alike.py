"""Detectors 3 duplicate, 17 register_copy and 19 resurrected: what looks alike, and what is held twice.

Duplicates and resurrected projects rest on compared texts (`Case.similar`): two objects are a finding where each is
the likest the other has, by enough, and nothing declared makes them rightly two. They are never certain. Copies of
registers follow from what is declared alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from qaztech.hub.comparing.relations import declared_successor, relation
from qaztech.hub.comparing.texts import texts_of
from qaztech.hub.detectors.finding import Case, Detector, Fact, Finding, MoneyOf
from qaztech.hub.detectors.reading import BEFORE_SERVICE, ENDED, fact, in_life, upkeep
from qaztech.hub.register.rows import (
    Channel,
    DigitalObject,
    Document,
    DocumentType,
    Integration,
    IntegrationStatus,
    Status,
)
from qaztech.hub.similarity import Pair

# The chance from which a pair is a finding, set on the pairs that weights were learnt from. Systems of one body are
# mostly parts of one whole: the second limit is the first and what one owner took off when weights were learnt.
DUPLICATE: Final = 0.35
OF_ONE_OWNER: Final = 0.894
# A project not yet in service that began after the end of another is evidence by itself: such pairs are a hundredth of
# all. Of one owner or for one function they say still more. What serves already is judged as a duplicate is.
RESURRECTED: Final = 0.05
OF_ONE_CAUSE: Final = 0.02
# A pair with this share of the best score that either has counts as best.
_NEXT_TO_BEST: Final = 0.8
# Findings that one object is in: of a group that all do the same each is told beside a few, not beside all.
_MOST_EACH: Final = 3
_LAWFUL: Final = frozenset({Channel.GATEWAY, Channel.EXTERNAL, Channel.NATIONAL})
# Last parts of an element's name that name a thing and say nothing of it: holding a number as a key is no copy.
_KEYS: Final = frozenset({"iin", "bin", "id", "code", "number", "no", "key", "uid", "uuid", "nomer", "kod"})


def duplicate(case: Case) -> Iterator[Finding]:
    """Two objects in life that do the same."""
    alive = [pair for pair in _pairs(case) if all(in_life(one) for one in _ends(case, pair))]
    told: Counter[str] = Counter()
    # The likest first, as the pairs come.
    for pair in _mutual(pair for pair in alive if relation(case.register, *_ends(case, pair)) is None):
        one, other = _ends(case, pair)
        needed = OF_ONE_OWNER if one.owner_bin == other.owner_bin else DUPLICATE
        if pair.score < needed or max(told[one.id], told[other.id]) >= _MOST_EACH:
            continue
        told.update((one.id, other.id))
        costs = sorted((upkeep(case, end) for end in (one, other)), key=lambda found: found[0])
        yield Finding(
            detector="duplicate",
            objects=(one.id, other.id),
            evidence=(*_likeness(pair, one, other), *costs[0][1]),
            confidence=_confidence(pair.score, needed),
            # What ending the cheaper of the two would save.
            money=costs[0][0] or None,
            money_of=MoneyOf.UPKEEP,
        )


def resurrected(case: Case) -> Iterator[Finding]:
    """A new object for the purpose of one that ended before it began."""
    found: list[tuple[Pair, DigitalObject, DigitalObject]] = []
    for pair in _pairs(case):
        one, other = _ends(case, pair)
        old, new = (one, other) if one.status in ENDED else (other, one)
        if old.status in ENDED and in_life(new) and _follows(old, new):
            found.append((pair, old, new))
    best = {id(pair) for pair in _mutual(pair for pair, _, _ in found)}
    for pair, old, new in found:
        needed = DUPLICATE
        if new.status in BEFORE_SERVICE:
            needed = OF_ONE_CAUSE if _of_one_cause(old, new) else RESURRECTED
        if pair.score < needed or id(pair) not in best or declared_successor(case.register, old, new):
            continue
        started = new.created or new.status_since
        yield Finding(
            detector="resurrected",
            objects=(old.id, new.id),
            evidence=(
                *_likeness(pair, old, new),
                fact("ended", old.status_since or "", old, "status_since"),
                fact("begun", started or "", new, "created" if new.created else "status_since"),
                *_estimate(new),
            ),
            confidence=_confidence(pair.score, needed),
            money=new.initial_estimate or None,
            money_of=MoneyOf.ESTIMATE,
        )


def _estimate(object_: DigitalObject) -> tuple[Fact, ...]:
    """What it was to cost at first, where that is declared."""
    if not object_.initial_estimate:
        return ()
    return (fact("initial_estimate", object_.initial_estimate, object_, "initial_estimate"),)


def register_copy(case: Case) -> Iterator[Finding]:
    """Elements of a national register that an object holds and does not take through the gateway."""
    sources: defaultdict[str, list[DigitalObject]] = defaultdict(list)
    for object_ in case.register.objects.values():
        if object_.source_of_truth and in_life(object_):
            for element in object_.data_elements:
                sources[element.casefold()].append(object_)
    for _, holder in sorted(case.register.objects.items()):
        if holder.source_of_truth or not in_life(holder) or holder.status is Status.PLANNING:
            continue
        for register in _registers(case, holder, sources):
            if told := _held_without(case, holder, register):
                yield Finding(
                    detector="register_copy",
                    objects=(holder.id, register.id),
                    evidence=(*told, Fact(what="provision", value="code.19", source="law/code.19")),
                    confidence=0.9 if any(row.what == "register_data" for row in told) else 0.7,
                )


def _registers(
    case: Case, holder: DigitalObject, sources: defaultdict[str, list[DigitalObject]]
) -> Iterable[DigitalObject]:
    """The registers of which an object holds something, by their ids."""
    named = (case.register.objects.get(entry.partition(":")[0].strip()) for entry in holder.register_data)
    found = {one.id: one for one in named if one is not None and one.source_of_truth and in_life(one)}
    for element in holder.data_elements:
        owners = sources.get(element.casefold(), ())
        if len(owners) == 1:
            found[owners[0].id] = owners[0]
    found.pop(holder.id, None)
    return [found[id_] for id_ in sorted(found)]


def _held_without(case: Case, holder: DigitalObject, register: DigitalObject) -> tuple[Fact, ...]:
    """What is held of a register and is not brought through the gateway, as facts; nothing where it is lawful."""
    own = {element.casefold() for element in register.data_elements}
    declared = {
        entry.partition(":")[2].strip().casefold()
        for entry in holder.register_data
        if entry.partition(":")[0].strip() == register.id
    }
    held = (own & {element.casefold() for element in holder.data_elements}) | declared
    rows = [row for row in case.register.of(Integration, holder.id) if row.provider_object == register.id]
    lawful = [row for row in rows if row.channel in _LAWFUL and row.status is IntegrationStatus.ACTIVE]
    if any(not row.elements for row in lawful) or _exempt(case, holder):
        return ()
    brought = {element.casefold() for row in lawful for element in row.elements}
    left = held - brought
    if not left or all(element.rpartition(".")[2] in _KEYS for element in left):
        return ()
    told = [
        fact("register_data" if element in declared else "data_element", element, holder,
             "register_data" if element in declared else "data_elements")
        for element in sorted(left)
    ]  # fmt: skip
    told += [fact("taken_by", (row.channel or "").lower(), row, "channel") for row in rows if row not in lawful]
    return tuple(told)


def _exempt(case: Case, holder: DigitalObject) -> bool:
    """Whether an exemption covers the object today."""
    if holder.exemption:
        return True
    papers = (row for row in case.register.of(Document, holder.id) if row.type is DocumentType.EXEMPTION)
    return any(row.valid_until is None or row.valid_until >= case.today for row in papers)


def _pairs(case: Case) -> list[Pair]:
    """The compared pairs of which both objects are in the register."""
    if case.similar is None:
        return []
    return [pair for pair in case.similar.pairs if {pair.one, pair.other} <= case.register.objects.keys()]


def _ends(case: Case, pair: Pair) -> tuple[DigitalObject, DigitalObject]:
    return case.register.objects[pair.one], case.register.objects[pair.other]


def _mutual(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs in which each is the likest of the other, or next to it."""
    kept = list(pairs)
    best: dict[str, float] = {}
    for pair in kept:
        for end in (pair.one, pair.other):
            best[end] = max(best.get(end, 0.0), pair.score)
    return [pair for pair in kept if all(pair.score >= _NEXT_TO_BEST * best[end] for end in (pair.one, pair.other))]


def _follows(old: DigitalObject, new: DigitalObject) -> bool:
    """Whether the new began after the old had ended."""
    begun = new.created or new.status_since
    return old.status_since is not None and begun is not None and begun >= old.status_since


def _of_one_cause(old: DigitalObject, new: DigitalObject) -> bool:
    """Whether one body owns both, or both serve one function."""
    return (bool(old.owner_bin) and old.owner_bin == new.owner_bin) or bool(set(old.functions) & set(new.functions))


def _likeness(pair: Pair, one: DigitalObject, other: DigitalObject) -> Iterator[Fact]:
    """What makes two alike, as facts: strengths in hundredths, what they share, and what each says it is for.

    A strength depends on all the register, so it moves; what is shared and said does not.
    """
    known = min((end.actualised for end in (one, other) if end.actualised is not None), default=None)
    source = f"similarity/{one.id}|{other.id}"
    yield Fact(what="score", value=_hundredths(pair.score), source=source, as_of=known, moving=True)
    for reason in pair.reasons:
        strength = _hundredths(reason.strength)
        yield Fact(what=f"alike.{reason.what}", value=strength, source=source, as_of=known, moving=True)
        if reason.shared:
            shared = ", ".join(reason.shared)
            moving = reason.what in {"words", "consumers"}
            yield Fact(what=f"shared.{reason.what}", value=shared, source=source, as_of=known, moving=moving)
    for end in (one, other):
        for text in texts_of(end):
            yield fact("text", text.purpose, end, f"purpose_{text.language}")


def _hundredths(number: float) -> int:
    return round(number * 100)


def _confidence(score: float, needed: float) -> float:
    """From 0.5 where a pair is just alike enough up to 0.9: never certain."""
    return round(min(0.5 + 0.4 * (score - needed) / (1 - needed), 0.9), 2)


DETECTORS = (
    Detector(slug="duplicate", detect=duplicate, deterministic=False, references=("code.72",)),
    Detector(slug="register_copy", detect=register_copy, deterministic=False, references=("code.19",)),
    Detector(slug="resurrected", detect=resurrected, deterministic=False, references=("code.72",)),
)
