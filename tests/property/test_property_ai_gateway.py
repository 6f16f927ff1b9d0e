"""Whatever callers and servers send: read or refused, never more than the policy allows, the same however it is cut."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.ai.gateway import policy
from qaztech.ai.gateway.answers import StreamRestorer, claimed_usage, restored, usage_of
from qaztech.ai.gateway.calls import ENDPOINTS, parse_call, prepared
from qaztech.ai.gateway.events import DONE, EventReader, event
from qaztech.ai.gateway.looking import look
from qaztech.ai.gateway.models import Deployment
from qaztech.ai.personal.masking import Vault
from qaztech.ai.personal.spans import Span
from qaztech.ai.register.standing import CardStanding
from qaztech.ai.terms import CLASSES, HIGHEST_OF, MODES, within
from qaztech.core.errors import Error, Unavailable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_NAMES = (
    "messages", "prompt", "input", "stream", "n", "best_of", "max_tokens", "max_completion_tokens", "stream_options",
    "tools", "metadata",
)  # fmt: skip
FIELDS = st.fixed_dictionaries({"model": st.just("m")}, optional=dict.fromkeys(_NAMES, JSON))
SECRET = "990101300006"


class Finds:
    """The secret, wherever it stands."""

    def find(self, text: str) -> tuple[Span, ...]:
        """Every place."""
        found, at = [], text.find(SECRET)
        while at >= 0:
            found.append(Span(at, at + len(SECRET), "iin"))
            at = text.find(SECRET, at + len(SECRET))
        return tuple(found)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from(ENDPOINTS))
def test_a_body_is_a_call_or_refused(data: bytes, endpoint: Any) -> None:
    """With one of our errors and no other."""
    with contextlib.suppress(Error):
        parse_call(endpoint, data)


@given(FIELDS, st.sampled_from(ENDPOINTS))
@settings(max_examples=60)
def test_what_is_sent_has_a_bound(body: dict[str, Any], endpoint: Any) -> None:
    """No tokeniser that falls back to bytes finds more in it."""
    text = json.dumps(body, ensure_ascii=False)
    try:
        call = parse_call(endpoint, text.encode())
        seen = look(Finds(), call)
        masked, _ = seen.masked(call)
        data, prompt, completion = prepared(call, masked, model="x", most=50)
    except Error:
        return
    assert prompt >= len(data)
    assert 0 <= completion <= 50 * call.choices
    assert json.loads(data)["model"] == "x"


PLACES = st.sampled_from(["messages", "tools", "metadata", "stop", "user", "response_format", "prompt", "input"])


@given(JSON, PLACES, st.lists(st.sampled_from(["a", "b", 0]), max_size=5))
@settings(max_examples=60)
def test_a_secret_is_found_wherever_it_stands(around: Any, place: str, path: list[Any]) -> None:
    """At any depth, in lists and objects, as JSON within JSON."""
    inner: Any = {"text": f"x {SECRET} y", "around": around}
    for step in path:
        inner = {str(step): inner} if step else [json.dumps({"deep": inner})]
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}], place: inner}
    if place == "messages":
        body["messages"] = [{"role": "user", "content": inner}]
    try:
        call = parse_call("chat/completions", json.dumps(body).encode())
    except Error:
        return
    masked, _ = look(Finds(), call).masked(call)
    assert SECRET not in json.dumps(masked)


@given(st.lists(st.text(alphabet='ab{}":\\ \u2028й', max_size=20), max_size=6), st.lists(st.integers(0, 300)))
def test_events_are_the_same_however_they_are_cut(texts: list[str], cuts: list[int]) -> None:
    """Also between CR and LF."""
    stream = b"".join(b": note\r\n" + event(text.encode()).replace(b"\n", b"\r\n") for text in texts) + event(DONE)
    places = sorted({min(cut, len(stream)) for cut in cuts})
    reader = EventReader()
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    found = [data for piece in pieces for data in reader.feed(piece)]
    assert found == [*(text.encode() for text in texts), DONE]
    assert reader.is_between


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_a_stream_is_events_or_refused(pieces: list[bytes]) -> None:
    """Nothing else is raised."""
    reader = EventReader()
    with contextlib.suppress(Unavailable):
        for piece in pieces:
            reader.feed(piece)


@given(st.dictionaries(st.sampled_from(["usage", "choices", "error"]), JSON))
def test_a_claim_is_a_number_or_none(answer: dict[str, Any]) -> None:
    """And what is not claimed is estimated, never below nothing."""
    claim = claimed_usage(answer)
    assert claim is None or (claim.prompt >= 0 and claim.completion >= 0)
    assert usage_of(answer, 10).completion >= 0
    vault = Vault("K7QX")
    vault.mask("secret", [Span(0, 6, "name")])
    restored(answer, vault)


@given(JSON.filter(lambda value: isinstance(value, dict)))
def test_any_choice_of_a_stream_is_passed_on(choice: dict[str, Any]) -> None:
    """Whatever a server puts in it."""
    vault = Vault("K7QX")
    vault.mask("secret", [Span(0, 6, "name")])
    StreamRestorer(vault).choice({"delta": choice, "finish_reason": "stop"})


@given(
    st.lists(
        st.builds(
            Deployment,
            name=st.uuids().map(str), url=st.just("http://h"), model=st.just("m"), mode=st.sampled_from(MODES),
            country=st.sampled_from(["KZ", "NL"]), highest_class=st.sampled_from(["", *CLASSES]),
            prompt_price=st.just(1),
        ),
        max_size=5,
    ),
    st.sampled_from(CLASSES), st.sampled_from(CLASSES), st.sampled_from(MODES), st.booleans(),
)  # fmt: skip
def test_no_place_is_given_what_it_may_not_have(
    places: list[Deployment], declared: Any, highest: Any, mode: Any, has_personal: bool
) -> None:
    """The class never falls, and each place that is left may have it."""
    card = CardStanding(
        id="c", owner="o", system="s", state="in-service", callable=True, risk="high", mode=mode, highest_class=highest
    )
    try:
        allowed = policy.allow(places, card=card, declared=declared, has_personal=has_personal, handling="mask")
    except Error:
        return
    assert within(declared, allowed.data_class)
    assert within(allowed.data_class, highest)
    assert not has_personal or within("personal", allowed.data_class)
    for place in allowed.places:
        assert within(allowed.data_class, HIGHEST_OF[place.mode])
        assert place.country == "KZ" or allowed.data_class == "public"
        assert MODES.index(place.mode) >= MODES.index(mode)
