"""Heads on links: forks are found out, on a link, across links and between peers; a lie about our own log stops it."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import msgspec
import pytest

from adversary import Memory, changed
from qaztech.core.errors import Unavailable
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import cosign_ml_dsa_44
from qaztech.evidence.note import Note, format_note
from qaztech.node import frames
from qaztech.trust.keys import Ed25519Key, MlDsa44Key, verify_ed25519


def asked(adversary, country, log=None):
    """A request that is as it should be, on the adversary's log or on a fork of it."""
    return adversary.ask("registers", country.echo, log=log)


def answered(adversary, country):
    """One exchange as it should be, so that the node has a head of the adversary's log."""
    with adversary.dial("registers") as wire:
        wire.prove(asked(adversary, country).frame)
        wire.expect(frames.Response)


class TestWhatIsNoHead:
    """A head grows, continues the one before and is signed by its log, or the link ends and nothing is appended."""

    @pytest.fixture
    def wire(self, country, adversary):
        """A link on which one request was answered, so that its log has a head here."""
        with adversary.dial("registers") as wire:
            wire.prove(asked(adversary, country).frame)
            wire.expect(frames.Response)
            yield wire

    @pytest.mark.parametrize(
        "wrong",
        [
            {"signature": bytes(64)},
            {"leaves": b""},
            {"leaves": bytes(31)},
            {"leaves": bytes(32)},
            {"start": 0},
            {"size": 2**63 - 1},
            {"frontier": [], "consistency": []},
            {"frontier": [bytes(32)] * 64, "consistency": [bytes(32)] * 64},
        ],
        ids=["signature", "no-leaves", "odd-leaves", "other-leaf", "start", "size", "no-peaks", "peaks"],
    )
    def test_a_part_changed_ends_the_link(self, country, adversary, wire, wrong):
        """Each part of a head is checked."""
        adversary.log.append(b"more")
        head = adversary.log.head(wire.sent)
        with country.unrecorded("registers"):
            wire.send(changed(head, **wrong))
            assert wire.is_cut()

    def test_one_that_shrinks_ends_the_link(self, country, adversary, wire):
        """A log never becomes smaller, also when it signs that it did."""
        size = wire.sent - 1
        peaks = list(adversary.log.frontier(size).hashes)
        with country.unrecorded("registers"):
            wire.send(frames.Head(size, b"", size, adversary.log.signature(size), peaks, []))
            assert wire.is_cut()

    def test_one_of_another_key_ends_the_link(self, country, adversary, wire):
        """Only the log's own key signs its heads."""
        other = Memory(adversary.origin, Ed25519Key.generate(), adversary.log.leaves)
        other.append(b"more")
        with country.unrecorded("registers"):
            wire.send(other.head(wire.sent))
            assert wire.is_cut()

    def test_the_same_again_ends_the_link(self, country, adversary, wire):
        """Each head is kept on the disk: one sent over and over would fill it."""
        head = adversary.log.head(wire.sent)
        with country.unrecorded("registers"):
            wire.send(*[changed(head, leaves=b"")] * 3)
            assert wire.is_cut()


class TestForks:
    """A member that signs two histories is found out, and both signed heads are kept: they prove it to anyone."""

    @staticmethod
    def fork_of(adversary):
        """Another history of the adversary's log, from a little before its end on."""
        fork = adversary.log.fork(adversary.log.size - 1)
        fork.append(b"this never was")
        return fork

    @staticmethod
    def is_shown(country, adversary, before, again):
        """Whether there is a new incident with two heads signed by the log (the same code is written once in 10 s)."""

        def shown():
            again()
            return len(country.incidents("registers", "log.forked")) > before

        country.until(shown, 20)
        heads = country.incidents("registers", "log.forked")[0]["heads"]
        for head in heads:
            signature = msgspec.json.decode(json.dumps(head["signature"]), type=bytes)
            assert verify_ed25519(adversary.key.public, signature, head["checkpoint"].encode())
        return heads[0]["checkpoint"] != heads[1]["checkpoint"]

    def test_between_two_peers(self, country, adversary):
        """A history shown to one peer and another to the witnesses: the peer asks for what they saw, and finds out."""
        answered(adversary, country)
        fork = self.fork_of(adversary)
        before = len(country.incidents("registers", "log.forked"))
        witnessed = witness(country, adversary, fork)
        with adversary.listen() as links:
            answered(adversary, country)  # the head the node knows has moved: it asks anew
            link = links.get(timeout=10)
            while link.hello.node != country.manage("registers", "/status")["node"]:
                link = links.get(timeout=10)
            link.takes_questions = True

            def again():
                question = link.expect(frames.Question)
                assert question.kind == "witnessed"
                sizes = sorted((int.from_bytes(question.payload), fork.size))
                proof = fork.consistency(*sizes) if sizes[1] <= fork.size and sizes[0] != sizes[1] else []
                link.send(frames.Answer(question.number, "", msgspec.msgpack.encode([witnessed, proof])))

            assert self.is_shown(country, adversary, before, again)

    def test_within_a_link(self, country, adversary):
        """The next head must follow from the last one of the link."""
        with adversary.dial("registers") as wire:
            wire.prove(asked(adversary, country).frame)
            wire.expect(frames.Response)
            fork = self.fork_of(adversary)
            request = asked(adversary, country, log=fork)
            with country.unrecorded("registers"):
                wire.send(fork.head(wire.sent), request.frame)
                assert wire.is_cut()

    def test_on_reconnect(self, country, adversary):
        """The first head of a link must follow from the last one of the link before."""
        answered(adversary, country)
        fork = self.fork_of(adversary)
        with country.unrecorded("registers"), adversary.dial("registers", log=fork) as wire:
            wire.prove(asked(adversary, country, log=fork).frame)
            assert wire.is_cut()

    def test_from_a_head_that_came_with_an_acknowledgement(self, country, adversary):
        """Every head a log has signed for this node binds it, whatever it came with."""
        with adversary.dial("registers") as wire:
            request = asked(adversary, country)
            wire.prove(request.frame)
            response = wire.expect(frames.Response)
            index = adversary.log.append(response.record)
            wire.prove(frames.Ack(bytes.fromhex(request.message.replace("-", "")), index, response.index))
            assert wire.is_alive()
        fork = self.fork_of(adversary)
        with adversary.dial("registers", log=fork) as wire:
            wire.prove(asked(adversary, country, log=fork).frame)
            cut = wire.is_cut(2)
        if not cut:
            adversary.log.leaves[:] = fork.leaves  # this is its history now, for the tests after this one
        assert cut

    def test_after_a_restart(self, country, adversary):
        """What was accepted is remembered on the disk and told in the hello; another history is an incident."""
        answered(adversary, country)
        country.kill("node-registers")
        country.restart("node-registers")
        before = len(country.incidents("registers", "log.forked"))
        fork = self.fork_of(adversary)
        request = asked(adversary, country, log=fork)

        def again():
            with country.unrecorded("registers"), adversary.dial("registers", log=fork) as wire:
                assert [a.size for a in wire.hello.accepted] == [adversary.log.size]
                wire.prove(request.frame)
                assert wire.is_cut()

        assert self.is_shown(country, adversary, before, again)


def witness(country, adversary, log):
    """A checkpoint of this history, cosigned by the country's running witnesses."""
    hybrid = MlDsa44Key.load(adversary.directory / "log.ml-dsa.key")
    signed = SignedCheckpoint.parse(log.note())
    lines = (*signed.note.signatures, cosign_ml_dsa_44(signed, log.origin, hybrid, 1))
    note = format_note(Note(signed.note.text, lines))
    cosigned = note
    for each in country.country["witnesses"]:
        if each["name"] == "university":
            continue
        parts = urlsplit(each["url"])
        connection = HTTPConnection(parts.hostname, parts.port, timeout=10)
        connection.request("POST", f"{parts.path}/add-checkpoint", b"old 0\n\n" + note)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status == 200, text
        cosigned += text
    return cosigned


class TestOurOwnLog:
    """A head of our own log that we signed and do not hold: the log was lost or copied, and must not go on."""

    def test_it_closes_the_log_for_good(self, country, adversary):
        """The node stops and says so, and does not come back with that log by being started again."""
        node = country.manage("registers", "/status")["log"]
        key = Ed25519Key.load(country.home / "nodes" / "registers" / "log.key")
        head = Checkpoint(node["origin"], node["size"] + 5, bytes(32))
        note = sign_checkpoint(head.origin, head.size, head.root, key)
        signature = SignedCheckpoint.parse(note).note.signatures[0].signature
        claim = frames.Accepted(head.origin, head.size, head.root, signature)
        with adversary.dial("registers", hello=lambda _: adversary.hello([claim])) as wire:
            assert wire.is_cut()
        country.until(lambda: country.incidents("registers", "log.contradicted"))
        assert "a peer holds a head" in country.manage("registers", "/status")["log"]["halted"]
        with country.unrecorded("registers"):
            assert country.call("/x", service=country.echo).status == 500
        country.kill("node-registers")
        with pytest.raises(Unavailable):
            country.restart("node-registers")
        assert "log.closed" in (country.home / "run" / "node-registers.log").read_text()
        (country.home / "nodes" / "registers" / "log" / "closed").unlink()  # for the tests after this one
        country.restart("node-registers")
