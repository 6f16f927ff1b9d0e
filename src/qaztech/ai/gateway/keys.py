"""Keys of a gateway: who may call which models for what, how much, and from which budget.

A key reads `qk-<id>-<secret>`, is shown once and kept as SHA-256. Whoever shows a wrong one gets one answer, whatever
is wrong with it. What was found is remembered for a second; that a key is revoked is exact all the same, for the ledger
looks again in the transaction that takes a call in.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from sqlalchemy import Engine, Row, insert, select, update

from qaztech.ai.gateway.books import unknown_key
from qaztech.ai.gateway.budgeting import MOST_TOKENS
from qaztech.ai.gateway.policy import HANDLINGS, Handling
from qaztech.ai.gateway.tables import budgets, keys
from qaztech.ai.terms import CLASSES, DataClass
from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.core.ids import MemberId
from qaztech.core.time import Clock
from qaztech.runtime.database import reading

MOST_CALLS: Final = 1_000_000
CALLS_PER_MINUTE: Final = 600
TOKENS_PER_MINUTE: Final = 1_000_000

_FORM = re.compile(r"qk-([0-9a-f]{12})-[0-9a-f]{48}\Z")
_LENGTH = 64
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
_CARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}\Z")
_REMEMBERED_MS = 1000
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as it is kept. `models` are the names it may call; `budget` is the id of what pays for it."""

    id: str
    name: str
    member: MemberId
    system: str
    purpose: str
    purpose_text: str
    card: str
    data_class: DataClass
    handling: Handling
    models: frozenset[str]
    calls_per_minute: int
    tokens_per_minute: int
    budget: str
    created: int
    created_by: str
    revoked: int | None = None
    revoked_by: str | None = None


class Keys:
    """The keys that there are. Usable from any thread."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        # By identifier: until when it is remembered, the hash, the key.
        self._remembered: dict[str, tuple[int, bytes, Key]] = {}

    def issue(
        self,
        *,
        name: str,
        member: MemberId,
        system: str,
        purpose: str,
        purpose_text: str,
        card: str,
        data_class: DataClass,
        models: Iterable[str],
        budget: str,
        by: str,
        handling: Handling = "mask",
        calls_per_minute: int = CALLS_PER_MINUTE,
        tokens_per_minute: int = TOKENS_PER_MINUTE,
    ) -> tuple[str, Key]:
        """A new key: what its user shows, told this once, and what is kept. Raises `Malformed`, `NotFound`."""
        made = Key(
            id=secrets.token_hex(6), name=name.strip(), member=member, system=system, purpose=purpose,
            purpose_text=purpose_text.strip(), card=card, data_class=data_class, handling=handling,
            models=frozenset(models), calls_per_minute=calls_per_minute, tokens_per_minute=tokens_per_minute,
            budget=budget, created=self._clock.now(), created_by=by,
        )  # fmt: skip
        _check(made)
        shown = f"qk-{made.id}-{secrets.token_hex(24)}"
        with self._engine.begin() as db:
            _check_budget(db.execute(select(budgets.c.member).where(budgets.c.id == budget)).scalar(), member)
            db.execute(
                insert(keys).values({
                    "id": made.id, "hash": sha256(shown.encode()).hexdigest(), "name": made.name,
                    "member": str(member), "system": system, "purpose": purpose, "purpose_text": made.purpose_text,
                    "card": card, "class": data_class, "handling": handling, "models": " ".join(sorted(made.models)),
                    "calls_per_minute": calls_per_minute, "tokens_per_minute": tokens_per_minute, "budget": budget,
                    "created": made.created, "created_by": by,
                })
            )  # fmt: skip
        return shown, made

    def change(
        self,
        id_: str,
        *,
        models: Iterable[str] | None = None,
        calls_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        budget: str | None = None,
    ) -> Key:
        """Give a key other models, limits, or another budget; what is not given stays. Raises as `issue`, `Conflict`.

        Limits and budget hold from the next call taken in; models within a second.
        """
        with self._engine.begin() as db:
            row = db.execute(select(keys).where(keys.c.id == id_)).first()
            before = _known(row)
            if before.revoked is not None:
                raise Conflict("ai.key.revoked", "this key is revoked", at="caller")
            after = replace(
                before,
                models=before.models if models is None else frozenset(models),
                calls_per_minute=before.calls_per_minute if calls_per_minute is None else calls_per_minute,
                tokens_per_minute=before.tokens_per_minute if tokens_per_minute is None else tokens_per_minute,
                budget=before.budget if budget is None else budget,
            )
            _check(after)
            found = db.execute(select(budgets.c.member).where(budgets.c.id == after.budget)).scalar()
            _check_budget(found, after.member)
            db.execute(
                update(keys).where(keys.c.id == id_).values(
                    models=" ".join(sorted(after.models)), calls_per_minute=after.calls_per_minute,
                    tokens_per_minute=after.tokens_per_minute, budget=after.budget,
                )
            )  # fmt: skip
        self._remembered.pop(id_, None)
        return after

    def revoke(self, id_: str, *, by: str) -> Key:
        """Let a key call no more, from the next call on, in every process. Raises `NotFound`."""
        now = self._clock.now()
        with self._engine.begin() as db:
            key = _known(db.execute(select(keys).where(keys.c.id == id_)).first())
            if key.revoked is None:
                db.execute(update(keys).where(keys.c.id == id_).values(revoked=now, revoked_by=by))
                key = replace(key, revoked=now, revoked_by=by)
        self._remembered.pop(id_, None)
        return key

    def key(self, id_: str) -> Key:
        """One key by its identifier. Raises `NotFound`."""
        with reading(self._engine) as db:
            return _known(db.execute(select(keys).where(keys.c.id == id_)).first())

    def all(self, *, member: MemberId | None = None) -> list[Key]:
        """The keys of a member, or of all, the newest first; revoked ones too."""
        chosen = select(keys).order_by(keys.c.created.desc(), keys.c.id)
        if member is not None:
            chosen = chosen.where(keys.c.member == str(member))
        with reading(self._engine) as db:
            return [_known(row) for row in db.execute(chosen)]

    def remembered(self, shown: str) -> Key | None:
        """The key, if it was found within the last second; asks no database. Raises `Unauthenticated`."""
        id_, digest = _parsed(shown)
        found = self._remembered.get(id_)
        if found is None or not found[0] - _REMEMBERED_MS <= self._clock.now() < found[0]:
            return None
        if not compare_digest(found[1], digest):
            raise unknown_key()
        return found[2]

    def find(self, shown: str) -> Key:
        """The key that a caller shows. Raises `Unauthenticated`, the same for all that is wrong."""
        known = self.remembered(shown)
        if known is not None:
            return known
        id_, digest = _parsed(shown)
        with reading(self._engine) as db:
            row = db.execute(select(keys).where(keys.c.id == id_)).first()
        kept = row.hash.encode() if row is not None else b""
        if row is None or not compare_digest(kept, digest) or row.revoked is not None:
            raise unknown_key()
        key = _known(row)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[id_] = (self._clock.now() + _REMEMBERED_MS, kept, key)
        return key


def _parsed(shown: str) -> tuple[str, bytes]:
    """Identifier and hash of what a caller shows. Raises `Unauthenticated`."""
    match = _FORM.match(shown) if len(shown) == _LENGTH else None
    if match is None:
        raise unknown_key()
    return match[1], sha256(shown.encode()).hexdigest().encode()


def _known(row: Row[Any] | None) -> Key:
    if row is None:
        raise NotFound("ai.key.none", "there is no key with this identifier", at="caller")
    found = row._mapping  # noqa: SLF001  # SQLAlchemy's own name for it; a column is called `class`
    return Key(
        id=row.id, name=row.name, member=MemberId.parse(row.member), system=row.system, purpose=row.purpose,
        purpose_text=row.purpose_text, card=row.card, data_class=found["class"], handling=row.handling,
        models=frozenset(row.models.split()), calls_per_minute=row.calls_per_minute,
        tokens_per_minute=row.tokens_per_minute, budget=row.budget, created=row.created, created_by=row.created_by,
        revoked=row.revoked, revoked_by=row.revoked_by,
    )  # fmt: skip


def _check(key: Key) -> None:
    texts = ((key.name, 100), (key.system, 255), (key.purpose_text, 1000), (key.created_by, 200))
    if not all(0 < len(text) <= most and text.isprintable() for text, most in texts):
        raise Malformed("ai.key.text", "a key has a name, a system and a purpose, each in one line", at="caller")
    if not _SLUG.match(key.purpose):
        raise Malformed("ai.key.purpose", "a purpose is named by small letters, digits and hyphens", at="caller")
    if not _CARD.match(key.card):
        raise Malformed("ai.key.card", "a key names the card of its AI system in the register", at="caller")
    if key.data_class not in CLASSES or key.handling not in HANDLINGS:
        raise Malformed(
            "ai.key.class",
            f"a key declares a class of data ({', '.join(CLASSES)}) and what is done with personal data"
            f" ({', '.join(HANDLINGS)})",
            at="caller",
        )
    if not 0 < len(key.models) <= 100 or not all(map(_MODEL.match, key.models)):
        raise Malformed("ai.key.models", "a key names the models it may call, 1 to 100", at="caller")
    if not (1 <= key.calls_per_minute <= MOST_CALLS and 1 <= key.tokens_per_minute <= MOST_TOKENS):
        raise Malformed(
            "ai.key.limits", f"in a minute: 1 to {MOST_CALLS} calls, 1 to {MOST_TOKENS} tokens", at="caller"
        )


def _check_budget(owner: str | None, member: MemberId) -> None:
    if owner != str(member):
        raise NotFound("ai.budget.unknown", "this member has no such budget", at="caller")
