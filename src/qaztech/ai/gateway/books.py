"""What one transaction does to the books: many calls taken in, many settled, all of it or nothing.

A batch is read by a few statements, decided by `budgeting`, and written by a few more, whatever its size; the same
statements run on SQLite and PostgreSQL. `ledger` says which calls share a transaction. A gateway writes here under its
incarnation: one that was started anew, or was declared dead, has lost the right to write, so that nothing of it is
settled twice.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection

from qaztech.ai.gateway.budgeting import (
    MOST_OF_A_CALL,
    MOST_TOKENS,
    WAIT,
    Moment,
    Purse,
    Window,
    charge,
    may_fit_later,
    present_minute,
    reserve,
    retry_after,
)
from qaztech.core.errors import Error, Limited, NotFound, Unauthenticated, Unavailable

Outcome = Literal["complete", "aborted", "failed", "cached"]
OPEN = "open"
ORPHANED = "orphaned"


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call to be taken in: its identifier (`new_call_id`), the key's, what is called, and what to reserve.

    `service` is whose the deployment is (`KZ/QUASI/…/models/chat`), by which statements find a provider's calls.
    `amount` is in micro-tenge: the most that the call can cost. `tokens` is the most it can take.
    """

    call: str
    key: str
    model: str
    deployment: str
    service: str = ""
    version: str
    declared: str
    data_class: str
    decision: str
    prompt_digest: str
    amount: int
    tokens: int


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a call ended. `cost` is what its server claims, in micro-tenge; `told`: nobody has to be told of its usage.

    `deployment`, `service` and `version` are given where another place answered than the one that was asked first.
    """

    call: str
    outcome: Outcome
    cost: int
    prompt_tokens: int = 0
    completion_tokens: int = 0
    answer_digest: str | None = None
    exchange: str | None = None
    deployment: str | None = None
    service: str | None = None
    version: str | None = None
    told: bool = False


class Told(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The exchange by which a call's provider was told of its usage."""

    call: str
    exchange: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A call that the budget does not cover now: whether waiting could help, and when to come again (seconds)."""

    may_fit_later: bool
    retry_after: int

    @property
    def refusal(self) -> Limited:
        """What it is told when it waits no more."""
        return Limited(
            "ai.budget.exhausted", "what is left of the budget does not cover this call", at="caller",
            retry_after=self.retry_after,
        )  # fmt: skip


Verdict = Lacking | Error | None
"""None: taken in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Calls that a gateway left open when it died, and what they were settled at: all that was reserved."""

    calls: int
    amount: int


@dataclass(slots=True)
class _Writes:
    """What a batch adds to periods and windows."""

    purses: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    tokens: dict[tuple[str, int], int] = field(default_factory=dict)

    def spend(self, budget: str, period: str, settled: int, reserved: int) -> None:
        sums = self.purses.get((budget, period))
        if sums is None:
            self.purses[budget, period] = [settled, reserved]
        else:
            sums[0] += settled
            sums[1] += reserved


class _KeyRow(NamedTuple):
    """A key with its budget, the present period and the present minute, as `_Statements.keys` reads them."""

    id: str
    revoked: int | None
    member: str
    system: str
    card: str
    purpose: str
    calls_per_minute: int
    tokens_per_minute: int
    budget: str
    kind: str
    allowance: int
    settled: int | None
    reserved: int | None
    minute: int | None
    calls: int | None
    tokens: int | None


class Books:
    """The books of one gateway, in one dialect of SQL.

    Its statements go to the driver itself: through SQLAlchemy each would cost ten times as much as it does in SQLite.
    """

    def __init__(self, gateway: str, dialect: str) -> None:
        self.gateway = gateway
        self._incarnation = secrets.token_hex(16)
        self._sql = _Statements(postgresql=dialect == "postgresql")
        self._is_sqlite = dialect != "postgresql"

    def begin(self, db: Connection, now: int) -> Orphans:
        """Take the books over: whoever wrote them under this name writes no more, and its open calls are orphans."""
        db.exec_driver_sql(self._sql.take_over, (self.gateway, self._incarnation, now))
        return close_orphans(db, self.gateway, now)

    def touch(self, db: Connection) -> None:
        """Write what is there already: whether these books can be written. Raises `Unavailable`: they are another's."""
        if db.exec_driver_sql(self._sql.touch, (self.gateway, self._incarnation)).rowcount != 1:
            raise _superseded()

    def apply(
        self, db: Connection, asks: Sequence[Ask], settlements: Sequence[Settlement], told: Sequence[Told], now: int
    ) -> tuple[list[Verdict], list[int | Error]]:
        """Settle, then take in; verdicts and costs in the order given. Raises `Unavailable`: these books are another's.

        A settlement of what is settled changes nothing and gives the cost that stands.
        """
        driver: Any = db.dialect.loaded_dbapi
        cursor = db.connection.cursor()
        try:
            cursor.execute(self._sql.incarnation, (self.gateway,))
            if cursor.fetchone() != (self._incarnation,):
                raise _superseded()
            costs = self._settle(cursor, settlements, now) if settlements else []
            verdicts = self._reserve(cursor, asks, now) if asks else []
            if told:
                cursor.executemany(self._sql.told, [(each.exchange, each.call, self.gateway) for each in told])
            return verdicts, costs
        except (driver.OperationalError, driver.InterfaceError) as exc:
            code = getattr(exc, "sqlstate", None) or getattr(exc, "sqlite_errorname", None) or ""
            raise Unavailable(
                "database.unavailable", "the database of the gateway does not answer, or its disk is full",
                at="registry", context=f"{type(exc).__name__} {code}".strip(),
            ) from exc  # fmt: skip
        finally:
            cursor.close()

    def _settle(self, cursor: Any, settlements: Sequence[Settlement], now: int) -> list[int | Error]:
        ids = self._listed([each.call for each in settlements])
        cursor.execute(self._sql.calls, (ids, self.gateway))
        rows = {row[0]: row for row in cursor}
        writes = _Writes()
        updates: list[tuple[Any, ...]] = []
        costs: list[int | Error] = []
        done: dict[str, int] = {}
        for each in settlements:
            row = rows.get(each.call)
            if row is None:
                costs.append(NotFound("ai.call.unknown", "there is no such call of this gateway", at="caller"))
                continue
            call, key, budget, period, minute, tokens, reserved, cost, outcome = row
            if outcome != OPEN or call in done:
                costs.append(done.get(call, cost or 0))
                continue
            cost = charge(reserved, max(0, each.cost))
            prompt, completion = _bounded(each.prompt_tokens), _bounded(each.completion_tokens)
            writes.spend(budget, period, cost, -reserved)
            if prompt + completion < tokens:
                # Never more than was reserved: a server's claim is not to close the minute for a key.
                at = (key, minute)
                writes.tokens[at] = writes.tokens.get(at, 0) + prompt + completion - tokens
            updates.append((
                each.outcome, cost, min(each.cost, MOST_OF_A_CALL) if each.cost > reserved else None, prompt,
                completion, each.answer_digest, each.exchange, each.deployment, each.service, each.version, each.told,
                now, call,
            ))  # fmt: skip
            done[call] = cost
            costs.append(cost)
        if updates:
            cursor.executemany(self._sql.settle, updates)
            self._write(cursor, writes)
        return costs

    def _reserve(self, cursor: Any, asks: Sequence[Ask], now: int) -> list[Verdict]:
        at = Moment.at(now)
        keys = self._listed(list({each.key for each in asks}))
        purses: dict[str, Purse] = {}
        standings: dict[str, tuple[_KeyRow, Purse, Window]] = {}
        cursor.execute(self._sql.keys, (at.month, keys))
        for row in map(_KeyRow._make, cursor):
            purse = purses.get(row.budget)
            if purse is None:
                purses[row.budget] = purse = Purse(
                    allowance=row.allowance, settled=row.settled or 0, reserved=row.reserved or 0
                )
            standings[row.id] = (row, purse, _window(row, at))
        writes = _Writes()
        inserts: list[tuple[Any, ...]] = []
        verdicts: list[Verdict] = []
        counted: dict[str, Window] = {}
        for each in asks:
            standing = standings.get(each.key)
            if standing is None or standing[0].revoked is not None:
                verdicts.append(unknown_key())
                continue
            row, purse, window = standing
            verdict = reserve(purse, window, each.amount, each.tokens, at)
            if verdict is WAIT:
                later = may_fit_later(purse, each.amount)
                after = retry_after(purse, each.amount, row.kind, at)
                verdicts.append(Lacking(may_fit_later=later, retry_after=after))
                continue
            verdicts.append(verdict)
            if verdict is not None:
                continue
            counted[each.key] = window
            period = at.period(row.kind)
            writes.spend(row.budget, period, 0, each.amount)
            inserts.append((
                each.call, each.key, row.budget, period, window.minute, at.day, row.member, row.system, row.card,
                row.purpose, each.model, each.deployment, each.service, each.version, each.declared, each.data_class,
                each.decision, each.prompt_digest, each.tokens, each.amount, now, self.gateway,
            ))  # fmt: skip
        if inserts:
            cursor.executemany(self._sql.insert, inserts)
            self._write(cursor, writes)
            cursor.executemany(self._sql.windows, [(k, w.minute, w.calls, w.tokens) for k, w in counted.items()])
        return verdicts

    def _write(self, cursor: Any, writes: _Writes) -> None:
        spent = [(*where, settled, reserved) for where, (settled, reserved) in writes.purses.items()]
        cursor.executemany(self._sql.periods, spent)
        if writes.tokens:
            cursor.executemany(self._sql.correct, [(change, change, *where) for where, change in writes.tokens.items()])

    def _listed(self, values: list[str]) -> Any:
        return json.dumps(values) if self._is_sqlite else values


def close_orphans(db: Connection, gateway: str, now: int) -> Orphans:
    """Settle what a gateway left open, at all that was reserved: what the calls cost nobody can say any more."""
    sql = _Statements(postgresql=db.dialect.name == "postgresql")
    sums = [(b, p, int(amount), count) for b, p, amount, count in db.exec_driver_sql(sql.orphans, (gateway,))]
    if sums:
        db.exec_driver_sql(sql.close_orphans, (now, gateway))
        db.exec_driver_sql(sql.periods, [(b, p, amount, -amount) for b, p, amount, _ in sums])
    return Orphans(calls=sum(count for *_, count in sums), amount=sum(amount for _, _, amount, _ in sums))


def declare_dead(db: Connection, gateway: str, now: int) -> Orphans:
    """Close the books of a gateway that will not come back; if it lives after all, it is refused from now on.

    Raises `NotFound`.
    """
    sql = _Statements(postgresql=db.dialect.name == "postgresql")
    if db.exec_driver_sql(sql.incarnation, (gateway,)).scalar() is None:
        raise NotFound("ai.gateway.unknown", "no gateway of this name keeps books here", at="caller")
    db.exec_driver_sql(sql.take_over, (gateway, "", now))
    return close_orphans(db, gateway, now)


def unknown_key() -> Unauthenticated:
    """The one answer to a key that is not known, is wrong, or was revoked."""
    return Unauthenticated("ai.key.unknown", "this key is not known", at="caller")


def _window(row: _KeyRow, at: Moment) -> Window:
    minute = present_minute(row.minute, at.minute)
    same = row.minute == minute
    return Window(
        calls_limit=row.calls_per_minute, tokens_limit=row.tokens_per_minute, minute=minute,
        calls=(row.calls or 0) if same else 0, tokens=(row.tokens or 0) if same else 0,
    )  # fmt: skip


def _bounded(tokens: int) -> int:
    """Tokens as a server claims them; a claim that no column holds is not taken literally."""
    return min(max(0, tokens), MOST_TOKENS)


class _Statements:
    """The statements, in the dialect's own placeholders. A list is one parameter, so that the text stays the same."""

    def __init__(self, *, postgresql: bool) -> None:
        def dialect(text: str) -> str:
            listed = "= ANY(?)" if postgresql else "IN (SELECT value FROM json_each(?))"
            text = text.replace("{listed}", listed)
            return text.replace("?", "%s") if postgresql else text

        self.incarnation = dialect("SELECT incarnation FROM ai_gateways WHERE id = ?")
        self.take_over = dialect(
            "INSERT INTO ai_gateways (id, incarnation, started) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET incarnation = excluded.incarnation, started = excluded.started"
        )
        self.keys = dialect(
            "SELECT k.id, k.revoked, k.member, k.system, k.card, k.purpose, k.calls_per_minute, k.tokens_per_minute,"
            " k.budget, b.kind, b.allowance, p.settled, p.reserved, w.minute, w.calls, w.tokens"
            " FROM ai_keys k JOIN ai_budgets b ON b.id = k.budget"
            " LEFT JOIN ai_periods p ON p.budget = b.id"
            " AND p.period = CASE b.kind WHEN 'total' THEN 'total' ELSE ? END"
            " LEFT JOIN ai_windows w ON w.key = k.id WHERE k.id {listed}"
        )
        self.calls = dialect(
            "SELECT id, key, budget, period, minute, tokens_reserved, reserved, cost, outcome FROM ai_calls"
            " WHERE id {listed} AND gateway = ?"
        )
        self.insert = dialect(
            "INSERT INTO ai_calls (id, key, budget, period, minute, day, member, system, card, purpose, model,"
            " deployment, service, version, declared, class, decision, prompt_digest, tokens_reserved, reserved,"
            " started, gateway, outcome, told)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', FALSE)"
        )
        self.settle = dialect(
            "UPDATE ai_calls SET outcome = ?, cost = ?, claimed = ?, prompt_tokens = ?, completion_tokens = ?,"
            " answer_digest = ?, exchange = ?, deployment = COALESCE(?, deployment), service = COALESCE(?, service),"
            " version = COALESCE(?, version), told = ?, ended = ? WHERE id = ?"
        )
        self.told = dialect("UPDATE ai_calls SET told = TRUE, usage_exchange = ? WHERE id = ? AND gateway = ?")
        self.periods = dialect(
            "INSERT INTO ai_periods (budget, period, settled, reserved) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (budget, period) DO UPDATE SET settled = ai_periods.settled + excluded.settled,"
            " reserved = ai_periods.reserved + excluded.reserved"
        )
        self.windows = dialect(
            "INSERT INTO ai_windows (key, minute, calls, tokens) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE"
            " SET minute = excluded.minute, calls = excluded.calls, tokens = excluded.tokens"
        )
        self.correct = dialect(
            "UPDATE ai_windows SET tokens = CASE WHEN tokens + ? < 0 THEN 0 ELSE tokens + ? END"
            " WHERE key = ? AND minute = ?"
        )
        self.touch = dialect("UPDATE ai_gateways SET started = started WHERE id = ? AND incarnation = ?")
        self.orphans = dialect(
            "SELECT budget, period, SUM(reserved), COUNT(*) FROM ai_calls"
            " WHERE gateway = ? AND NOT told AND outcome = 'open' GROUP BY budget, period"
        )
        self.close_orphans = dialect(
            "UPDATE ai_calls SET outcome = 'orphaned', cost = reserved, ended = ?"
            " WHERE gateway = ? AND NOT told AND outcome = 'open'"
        )


def _superseded() -> Unavailable:
    return Unavailable(
        "ai.gateway.superseded",
        "another process keeps the books of this gateway now: give each its own `name`, and start this one again",
    )
