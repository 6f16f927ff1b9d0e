"""What a gateway counts of calls, refusals, tokens and money: names and labels of closed sets, nothing of callers."""

from __future__ import annotations

from typing import Final

from qaztech.core.errors import Error
from qaztech.runtime.telemetry import Metrics

CODES: Final = frozenset(
    {
        "ai.answer.large", "ai.answer.malformed", "ai.answer.no-stream", "ai.budget.exhausted", "ai.call.deep",
        "ai.call.empty", "ai.call.field", "ai.call.json", "ai.call.kind", "ai.call.large", "ai.call.messages",
        "ai.call.model", "ai.call.remote", "ai.call.size", "ai.caller.gone", "ai.class.above-card", "ai.class.lowered",
        "ai.class.nowhere", "ai.class.unknown", "ai.detector.failed", "ai.exchange.refused", "ai.gateway.busy",
        "ai.gateway.closing", "ai.gateway.failed", "ai.gateway.no-node", "ai.gateway.superseded", "ai.key.missing",
        "ai.key.unknown", "ai.ledger.failed", "ai.limit.calls", "ai.limit.tokens", "ai.model.unknown", "ai.node.away",
        "ai.path.unknown", "ai.personal.name", "ai.personal.refused", "ai.register.silent", "ai.server.away",
        "ai.server.busy", "ai.server.endless", "ai.server.failed", "ai.server.not-found", "ai.server.refused",
        "ai.stream.broken", "ai.stream.malformed", "ai.system.not-callable", "ai.system.other",
        "ai.system.unregistered", "database.replaced", "database.unavailable", "limit.service", "service.closed",
        "service.malformed", "service.timeout", "service.unreachable",
    }
)  # fmt: skip
"""Why calls are refused."""
OUTCOMES: Final = ("complete", "cached", "aborted", "refused", "failed")
"""How a call ends: answered, answered from the cache, left by its caller, refused (ours to say no), or not answered."""


def count_refusal(metrics: Metrics, error: Error) -> None:
    """One refusal, by its code; what is not in the set is `other`."""
    metrics.count_label("ai_refused_total", "code", error.code if error.code in CODES else "other")


def count_usage(metrics: Metrics, prompt: int, completion: int, cost: int) -> None:
    """Tokens of a call that is over, and what it cost in micro-tenge."""
    metrics.count('ai_tokens_total{kind="prompt"}', prompt)
    metrics.count('ai_tokens_total{kind="completion"}', completion)
    metrics.count("ai_cost_microtenge_total", cost)


def outcome_of(error: Error) -> str:
    """How a call ended that was not answered to its end."""
    if error.code == "ai.caller.gone":
        return "aborted"
    return "failed" if error.status >= 500 else "refused"
