"""Passports and descriptions from a `member.yaml`: signed once, changed by what changed, refused with the place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId
from qaztech.core.time import ManualClock
from qaztech.member.declared import directory_lineages, plan, read_declared
from qaztech.member.declared_shown import plan_shown, read_shown
from qaztech.member.window import Window
from qaztech.registry.desk import Desk
from qaztech.registry.forms import Names

MEMBER = MemberId("KZ", "EDU", "991340000403")
SERVICE = f"{MEMBER}/library/books"
CLOCK = ManualClock(1_790_000_000_000)
FILE = f"""
kind: member
member: {MEMBER}
subsystems:
  library:
    names: {{kk: Кітапхана, ru: Библиотека, en: Library}}
    services:
      books:
        names: {{kk: Кітаптар, ru: Книги, en: Books}}
        openapi: books.yaml
        passport:
          purpose: {{kk: Кітаптар туралы, ru: О книгах, en: About books}}
          environment: test
          contact: library@university.example
"""
OPENAPI = """
openapi: 3.0.3
info: {title: Books, version: "1"}
servers: [{url: "http://127.0.0.1/secret"}]
paths:
  /books: {get: {responses: {"200": {description: all}}}}
"""


class Place:
    """A desk, and the files beside a `member.yaml`."""

    def __init__(self, folder: Path) -> None:
        names = Names(kk="а", ru="б", en="c")
        self.desk = Desk.create(folder / "desk", member=MEMBER, names=names, clock=CLOCK)
        self.window = Window(folder / "desk", CLOCK)
        self.files = {"books.yaml": OPENAPI.encode()}

    def read(self, name: str, limit: int) -> bytes:
        if name not in self.files or len(self.files[name]) > limit:
            raise Malformed("declared.malformed", "no such file")
        return self.files[name]

    def apply(self, text: str) -> list[str]:
        form = read_declared(text.encode())
        shown = read_shown(form, self.read)
        steps = plan(form, self.desk, directory_lineages({})) + plan_shown(shown, self.window)
        for step in steps:
            step.do(self.desk)
        return [f"{step.sign} {step.what}" for step in steps]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_service_is_shown_once_and_only_what_changed_again(place: Place) -> None:
    """New: passport and description. The same file again: nothing. Another purpose: the passport alone."""
    lines = place.apply(FILE)
    assert lines[1:] == [
        f"+ service {SERVICE}: Books, OPENAPI", f"+ passport of {SERVICE}", f"+ description of {SERVICE}"
    ]  # fmt: skip
    assert place.apply(FILE) == []
    assert place.apply(FILE.replace("About books", "About all books")) == [f"~ passport of {SERVICE}"]
    place.files["books.yaml"] = OPENAPI.replace("all}", "every book}").encode()
    assert place.apply(FILE.replace("About books", "About all books")) == [f"~ description of {SERVICE}"]
    showcase = place.window.showcase()
    assert showcase is not None
    (shown,) = showcase.statement.services
    assert shown.passport.purpose == Names(kk="Кітаптар туралы", ru="О книгах", en="About all books")
    assert (document := place.window.description(shown.description)) is not None
    assert "secret" not in document.decode()


def test_what_is_brought_is_the_signed_file_with_its_documents(place: Place) -> None:
    """One showcase, one document, for the member."""
    place.apply(FILE)
    brought: list[tuple[str, int]] = []
    place.window.bring(lambda member, _, documents: brought.append((member, len(documents))))
    assert brought == [(str(MEMBER), 1)]


def test_after_another_member_key_the_showcase_is_signed_again(place: Place) -> None:
    """A showcase counts by the present key."""
    place.apply(FILE)
    place.desk.rotate_key()
    assert place.window.showcase() is None
    assert place.apply(FILE) == ["~ showcase, signed with the present key"]
    assert place.window.showcase() is not None
    assert place.apply(FILE) == []


def test_a_passport_may_stand_in_a_file_and_a_description_without_one(place: Place) -> None:
    """The file's passport is the same as one that stands in place; without one the service is shown as for tests."""
    given = {"purpose": {"kk": "Кітаптар туралы", "ru": "О книгах", "en": "About books"}, "environment": "test",
             "contact": "library@university.example"}  # fmt: skip
    place.files["p.json"] = json.dumps(given).encode()
    head = FILE.partition("        passport:")[0]
    assert len(place.apply(head)) == 4
    assert place.apply(f"{head}        passport: p.json\n") == [f"~ passport of {SERVICE}"]
    assert place.apply(FILE) == []


@pytest.mark.parametrize(
    ("line", "stated"),
    [("", None), ("personal: false", False), ("personal: true\n          categories: [identity]", True)],
)
def test_what_the_file_is_silent_on_is_not_stated(place: Place, line: str, stated: bool | None) -> None:
    """A no about personal data is one that somebody has written."""
    place.apply(FILE.replace("environment: test", f"environment: test\n          {line}"))
    showcase = place.window.showcase()
    assert showcase is not None
    assert showcase.statement.services[0].passport.states_personal is stated


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("environment: test", "environment: real"), "passport of books.*environment"),
        (("environment: test", "surprise: yes"), "passport of books.*surprise"),
        (("contact: library@", "contact: nobody"), "passport of books: contact"),
        (("environment: test", "names: {kk: а, ru: б, en: c}"), "not those of the service"),
        (("books.yaml", "../elsewhere.yaml"), "elsewhere.yaml: no such file"),
        (("        passport:\n", "        passport: p.yaml\n        x:\n"), "x"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(place: Place, change: tuple[str, str], told: str) -> None:
    """Nothing is signed."""
    version = place.desk.statement.version
    with pytest.raises(Malformed, match=told):
        place.apply(FILE.replace(*change))
    assert (place.desk.statement.version, place.window.shown()) == (version, {})


def test_a_description_with_faults_is_refused(place: Place) -> None:
    """As at the console: the first fault is named."""
    place.files["books.yaml"] = OPENAPI.replace("responses", "answers").encode()
    with pytest.raises(Malformed, match=r"books\.yaml"):
        place.apply(FILE)
