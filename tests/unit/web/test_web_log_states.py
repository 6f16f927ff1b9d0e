"""Logs and their witnesses as the portal tells them: what is signed is believed, what is not is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import cosign_ed25519
from qaztech.evidence.note import COSIGNATURE_ED25519, VerifierKey, format_note
from qaztech.evidence.witness import checkpoint_path
from qaztech.registry.anchor import make_anchor
from qaztech.registry.survey import Survey, Surveyor
from qaztech.trust.keys import Ed25519Key
from qaztech.web.country import parse_country
from qaztech.web.log_states import LogState, LogStates
from registry_country import HOST, Country, LocalFetcher, quick_folder, seed

WITNESSES = ("one", "two", "three")
SECONDS = 1_800_000_000


class Scene:
    """One member with a log, three witnesses, and a server that stands for all of them."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.member = country.admit(country.new_member(1, "member"))
        surveyor = Surveyor(
            anchor=country.anchor,
            directory=country.directory / "survey",
            fetcher=LocalFetcher(country),
            clock=country.clock,
        )
        self.survey: Survey = surveyor.refresh()
        self.keys = {name: Ed25519Key.from_seed(seed(f"w {name}")) for name in WITNESSES}
        self.there: dict[str, bytes] = {}

    def note(self, size: int, *, root: bytes = b"r" * 32, key: Ed25519Key | None = None) -> bytes:
        """A checkpoint of the member's log."""
        return sign_checkpoint(self.member.origin, size, root, key or self.member.log_key)

    def head(self, size: int, **options: object) -> None:
        """What the node shows."""
        self.there["/node/log/checkpoint"] = self.note(size, **options)

    def seen(self, name: str, size: int, **options: object) -> None:
        """What a witness shows that it cosigned; by another key where `forged`."""
        forged = options.pop("forged", False)
        signed = SignedCheckpoint.parse(self.note(size, **options))
        key = Ed25519Key.from_seed(seed("nobody")) if forged else self.keys[name]
        line = cosign_ed25519(signed, f"{HOST}/witness/{name}", key, SECONDS)
        path = f"/{name}/{checkpoint_path(self.member.origin)}"
        self.there[path] = format_note(signed.note.with_signatures([line]))

    def anchor(self, url: str) -> bytes:
        """An anchor whose witnesses stand at the server."""
        lines = [f"log {self.country.log.vkey}"]
        for name, key in self.keys.items():
            vkey = VerifierKey.of(f"{HOST}/witness/{name}", COSIGNATURE_ED25519, key.public)
            lines.append(f"witness {name} {vkey} {url}/{name}")
        lines += ["group all 2 one two three", "quorum all", ""]
        return make_anchor(
            instance="KZ",
            root=self.country.publication.first_root,
            log_origin=self.country.log.origin,
            log_vkeys=(self.country.log.vkey,),
            policy="\n".join(lines).encode(),
            issued=self.country.clock.now(),
        )

    async def look(self) -> LogState:
        """The state of the member's log."""
        async with _served(self.there) as url:
            node = {
                "name": "member",
                "member": str(self.member.id),
                "names": {"kk": "m", "ru": "m", "en": "m"},
                "management": f"{url}/node",
            }
            other = node | {"name": "other", "management": f"{url}/other"}
            place = {"instance": "KZ", "registry": url, "anchor": "", "nodes": [other, node]}
            anchor = self.anchor(url)
            states = LogStates(country=parse_country(json.dumps(place).encode()), anchor=lambda: anchor)
            found, total = await states.states(self.survey.catalogue)
            assert total == len(found) == 2
            return found[1]


@asynccontextmanager
async def _served(there: dict[str, bytes]) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).decode().split(" ")[1]
        while (await reader.readline()).strip():
            pass
        body = there.get(path)
        status = 404 if body is None else 200
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body or b'')}\r\n\r\n".encode() + (body or b""))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """The country of one member."""
    with quick_folder() as folder:
        country = Country(folder)
        yield Scene(country)
        country.close()


async def test_what_log_and_witnesses_signed_is_shown(scene: Scene) -> None:
    """Size, root, and what each witness has seen; two of three are the quorum here."""
    scene.head(7)
    scene.seen("one", 7)
    scene.seen("two", 5, root=b"q" * 32)
    state = await scene.look()
    assert (state.finding, state.size, state.root, state.quorum) == ("signed", 7, b"r".hex() * 32, 5)
    told = [(one.name, one.finding, one.size, one.time) for one in state.witnesses]
    assert told == [
        ("one", "cosigned", 7, SECONDS * 1000),
        ("two", "cosigned", 5, SECONDS * 1000),
        ("three", "nothing", 0, 0),
    ]


async def test_a_witness_that_saw_another_root_shows_the_fork(scene: Scene) -> None:
    """At the same size there is one root, or two logs under one name."""
    scene.head(7)
    scene.seen("one", 7)
    scene.seen("two", 7, root=b"x" * 32)
    state = await scene.look()
    assert [one.finding for one in state.witnesses] == ["cosigned", "forked", "nothing"]
    assert state.quorum is None


async def test_what_others_signed_is_not_shown(scene: Scene) -> None:
    """Neither a head by another key nor a cosignature by somebody else."""
    scene.head(9, key=Ed25519Key.from_seed(seed("thief")))
    scene.seen("one", 9, key=Ed25519Key.from_seed(seed("thief")))
    scene.seen("two", 9, forged=True)
    scene.there[f"/three/{checkpoint_path(scene.member.origin)}"] = b"\xff not a note"
    state = await scene.look()
    assert (state.finding, state.size, state.root, state.quorum) == ("wrong", 0, "", None)
    assert {one.finding for one in state.witnesses} == {"bad"}


async def test_a_node_that_does_not_answer_is_said_to(scene: Scene) -> None:
    """What witnesses saw stands on its own."""
    scene.seen("one", 3)
    scene.seen("three", 3)
    state = await scene.look()
    assert (state.finding, state.size, state.quorum) == ("unreachable", 0, 3)


async def test_a_member_with_two_nodes_has_two_logs(scene: Scene) -> None:
    """Each is looked for at both; what the other node writes is not taken for a forgery."""
    thief = Ed25519Key.from_seed(seed("other log"))
    origin = f"{HOST}/log/{'0' * 20}"
    scene.there["/other/log/checkpoint"] = sign_checkpoint(origin, 99, b"o" * 32, thief)
    assert (await scene.look()).finding == "unreachable"
    scene.head(7)
    state = await scene.look()
    assert (state.finding, state.size) == ("signed", 7)
