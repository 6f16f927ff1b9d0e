"""Who acts, and the form of an act: one entry of the admin log (docs/formats/admin-log.md).

Acts on accounts are noted in the transaction that makes the change, and brought to the log afterwards (`acts`): none is
lost when a process ends in between, and none is logged that did not happen.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from qaztech.core.errors import Malformed
from qaztech.people.tables import pending_act

MAX_ACT = 16 * 1024
_SALT = re.compile(r"(?:[0-9a-f]{32})?\Z")

State = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something: the name of an account, and the role or roles it is done in (`auditor`)."""

    name: str
    role: str


COMMAND_LINE = Actor(name="command-line", role="machine-owner")
# Somebody's own account: signing in needs no role.
OWNER = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One administrative act. `before` and `after` hold what may be public, and hashes of the rest; None is absence.

    `salt` (`new_salt`) keeps the entry's hash, which anyone may see, from telling who acted. Acts of before have none.
    """

    who: str
    role: str
    when: int
    act: str
    subject: str
    before: State = None
    after: State = None
    salt: str = ""

    def leaf(self) -> bytes:
        """The entry: canonical JSON. Raises `Malformed` where it is too large or no JSON."""
        form = {
            "qaztech": "act 2" if self.salt else "act 1", "who": self.who, "role": self.role, "when": self.when,
            "act": self.act, "subject": self.subject, "before": self.before, "after": self.after,
        }  # fmt: skip
        if self.salt:
            form["salt"] = self.salt
        try:
            text = json.dumps(form, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
            leaf = text.encode()
        except (TypeError, ValueError, RecursionError) as exc:
            raise Malformed(
                "act.malformed", "an act holds texts, whole numbers, lists and objects", at="caller"
            ) from exc
        named = all(isinstance(name, str) and name for name in (self.who, self.role, self.act, self.subject))
        named = named and isinstance(self.salt, str) and _SALT.match(self.salt) is not None
        states = all(state is None or isinstance(state, dict) for state in (self.before, self.after))
        if len(leaf) > MAX_ACT or not named or not states or type(self.when) is not int:
            raise Malformed("act.malformed", f"an act has all its names and at most {MAX_ACT} bytes", at="caller")
        return leaf

    @classmethod
    def parse(cls, leaf: bytes) -> Act:
        """An entry of the admin log; raises `Malformed` for anything but the bytes `leaf` would make."""
        try:
            form = json.loads(leaf) if len(leaf) <= MAX_ACT else None
            act = cls(**{key: value for key, value in form.items() if key != "qaztech"})  # type: ignore[union-attr]
            canonical = act.leaf()
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            raise Malformed("act.malformed", "not an act", at="log") from exc
        if canonical != leaf:
            raise Malformed("act.malformed", "not an act", at="log")
        return act


def note_act(db: Connection, *, by: Actor, when: int, act: str, subject: str, before: State, after: State) -> None:
    """Note an act in the transaction that makes the change, until it is brought to the admin log."""
    leaf = Act(
        who=by.name, role=by.role, when=when, act=act, subject=subject, before=before, after=after, salt=new_salt()
    ).leaf()
    db.execute(insert(pending_act).values(message=act_message(when).hex(), leaf=leaf.decode()))


def new_salt() -> str:
    """16 random bytes in hex, for one act."""
    return secrets.token_hex(16)


def act_message(when: int) -> bytes:
    """A new message id (UUID version 7) for an act of that time: what an entry of a log is found by."""
    random = int.from_bytes(secrets.token_bytes(10))
    return ((when << 80) | (random & ~(0xF << 76) & ~(0x3 << 62)) | (0x7 << 76) | (0x2 << 62)).to_bytes(16)
