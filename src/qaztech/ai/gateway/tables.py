"""The tables of a gateway, for `runtime.database`: keys, budgets, what is spent and reserved, and the ledger of calls.

Amounts are micro-tenge (1 tenge = 1,000,000), times milliseconds since 1970, days and months those of Kazakhstan. Of a
key only its hash is kept, of what was asked and answered only digests. The body's console shares them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, text

from qaztech.runtime.migration import tables_named

AI_GATEWAY = tables_named("ai_gateway")

budgets = Table(
    "ai_budgets",
    AI_GATEWAY,
    Column("id", String(32), primary_key=True),
    Column("member", Text, nullable=False),
    Column("name", String(100), nullable=False),
    Column("kind", String(8), nullable=False),  # month or total
    Column("allowance", BigInteger, nullable=False),  # micro-tenge in a period
    Column("created", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
)

periods = Table(
    "ai_periods",
    AI_GATEWAY,
    Column("budget", String(32), ForeignKey("ai_budgets.id"), primary_key=True),
    Column("period", String(8), primary_key=True),  # 2026-11, or total
    Column("settled", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
)

keys = Table(
    "ai_keys",
    AI_GATEWAY,
    Column("id", String(32), primary_key=True),
    Column("hash", String(64), nullable=False),  # SHA-256 of the whole key, hex
    Column("name", String(100), nullable=False),
    Column("member", Text, nullable=False),
    Column("system", Text, nullable=False),  # code of the subsystem that calls
    Column("purpose", String(64), nullable=False),
    Column("purpose_text", Text, nullable=False),
    Column("card", String(64), nullable=False),
    Column("class", String(12), nullable=False),
    Column("handling", String(8), nullable=False),  # of personal data that is found
    Column("models", Text, nullable=False),  # sorted, joined by spaces
    Column("calls_per_minute", Integer, nullable=False),
    Column("tokens_per_minute", BigInteger, nullable=False),
    Column("budget", String(32), ForeignKey("ai_budgets.id"), nullable=False, index=True),
    Column("created", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("revoked", BigInteger),
    Column("revoked_by", String(200)),
)

# The minute that a key is in; a row each, so that the table does not grow.
windows = Table(
    "ai_windows",
    AI_GATEWAY,
    Column("key", String(32), ForeignKey("ai_keys.id"), primary_key=True),
    Column("minute", BigInteger, nullable=False),  # minutes since 1970
    Column("calls", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)

# Who keeps books in here: a gateway that was started again, or declared dead, is told so before it writes once more.
gateways = Table(
    "ai_gateways",
    AI_GATEWAY,
    Column("id", String(64), primary_key=True),
    Column("incarnation", String(32), nullable=False),
    Column("started", BigInteger, nullable=False),
)

calls = Table(
    "ai_calls",
    AI_GATEWAY,
    Column("id", String(36), primary_key=True),  # UUID version 7
    Column("key", String(32), ForeignKey("ai_keys.id"), nullable=False),
    Column("budget", String(32), nullable=False),
    Column("period", String(8), nullable=False),
    Column("minute", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),  # days since 1970, in Kazakhstan
    Column("member", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("card", String(64), nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("model", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("service", Text, nullable=False),  # of whom; empty where a model is called without the backbone
    Column("version", Text, nullable=False),
    Column("declared", String(12), nullable=False),
    Column("class", String(12), nullable=False),
    Column("decision", Text, nullable=False),
    Column("prompt_digest", Text, nullable=False),
    Column("answer_digest", Text),
    Column("tokens_reserved", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("cost", BigInteger),
    Column("claimed", BigInteger),  # what the server claimed, where that is more than was reserved
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("outcome", String(10), nullable=False),
    Column("exchange", Text),
    Column("usage_exchange", Text),
    Column("told", Boolean, nullable=False),  # the exchange that tells the provider of the usage is done
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("gateway", String(64), nullable=False),
    Index("ai_calls_day", "day"),
    # Small, however long the ledger: what is open or still to be told.
    Index("ai_calls_untold", "gateway", sqlite_where=text("NOT told"), postgresql_where=text("NOT told")),
)
