"""Witness policies: the whole syntax, quorums, times, and no silent downgrade."""

from __future__ import annotations

from itertools import combinations

import pytest

from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import cosign_ed25519, cosign_ml_dsa_44
from qaztech.evidence.note import (
    COSIGNATURE_ED25519,
    ED25519,
    ML_DSA_44,
    SignatureLine,
    VerifierKey,
    format_note,
    parse_note,
)
from qaztech.evidence.policy import Policy
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

ORIGIN = "kz.qaztech.example/log/0123456789abcdef0123"
LOG = Ed25519Key.from_seed(b"\1" * 32)
LOG_PQ = MlDsa44Key.from_seed(b"\2" * 32)
LOG_KEY = VerifierKey.of(ORIGIN, ED25519, LOG.public)
LOG_PQ_KEY = VerifierKey.of(ORIGIN, ML_DSA_44, LOG_PQ.public)
NAMES = ("w1", "w2", "w3")
KEYS = {name: Ed25519Key.from_seed(bytes([16 + number]) * 32) for number, name in enumerate(NAMES)}
PQ_KEYS = {name: MlDsa44Key.from_seed(bytes([32 + number]) * 32) for number, name in enumerate(NAMES)}
VKEYS = {name: VerifierKey.of(f"{name}.example", COSIGNATURE_ED25519, key.public) for name, key in KEYS.items()}
PQ_VKEYS = {name: VerifierKey.of(f"{name}.example", ML_DSA_44, key.public) for name, key in PQ_KEYS.items()}
WITNESSES = "".join(f"witness {name} {key}\n" for name, key in VKEYS.items())
PQ_WITNESSES = "".join(f"witness {name}.pq {key}\n" for name, key in PQ_VKEYS.items())
TWO_OF_THREE = WITNESSES + "group all-of-us 2 w1 w2 w3\nquorum all-of-us\n"
HYBRID = PQ_WITNESSES + TWO_OF_THREE
NOTE = sign_checkpoint(ORIGIN, 7, bytes(32), LOG)
SIGNED = SignedCheckpoint.parse(NOTE)


def policy(text: str) -> Policy:
    return Policy.parse(text.encode())


def ed25519(name: str, time: int) -> SignatureLine:
    return cosign_ed25519(SIGNED, f"{name}.example", KEYS[name], time)


def ml_dsa_44(name: str, time: int) -> SignatureLine:
    return cosign_ml_dsa_44(SIGNED, f"{name}.example", PQ_KEYS[name], time)


def note(*lines: SignatureLine) -> bytes:
    return format_note(parse_note(NOTE).with_signatures(lines))


def test_the_whole_syntax_is_read() -> None:
    """Comments, empty lines, tabs, URLs, nested groups, any order of logs and witnesses."""
    text = (
        "# a policy\n\n \t\n   # indented\n"
        f"\twitness  w1\t{VKEYS['w1']}   https://w1.example/  \n"
        "group first any w1\n"
        f"log {LOG_KEY} https://log.example/\n"
        f"witness w2 {VKEYS['w2']}\nwitness куәгер {VKEYS['w3']}\n"
        "group second 1 w2 куәгер\ngroup both all first second\nquorum both\n"
        f"log {LOG_PQ_KEY}\n"
    )
    parsed = policy(text)
    assert [log.key for log in parsed.logs] == [LOG_KEY, LOG_PQ_KEY]
    assert [log.url for log in parsed.logs] == ["https://log.example/", ""]
    assert list(parsed.witnesses) == ["w1", "w2", "куәгер"]
    assert parsed.witnesses["w1"].url == "https://w1.example/"
    assert [(group.threshold, group.members) for group in parsed.groups] == [
        (1, ("w1",)),
        (1, ("w2", "куәгер")),
        (2, ("first", "second")),
    ]
    assert parsed.quorum == "both"
    assert Policy.parse(parsed.format()) == parsed


def test_a_hybrid_policy_is_written_back() -> None:
    """ML-DSA-44 lines survive the round trip, wherever they stand."""
    for text in (HYBRID, TWO_OF_THREE + PQ_WITNESSES):
        parsed = policy(text)
        assert parsed.witnesses["w2"].keys == (VKEYS["w2"], PQ_VKEYS["w2"])
        assert list(parsed.witnesses) == list(NAMES)
        assert Policy.parse(parsed.format()) == parsed


def test_names_are_opaque_octets() -> None:
    """Names that are not UTF-8 are names too, told apart byte by byte; the Kelvin sign is not K."""
    data = b"witness \xff " + str(VKEYS["w1"]).encode() + b"\nwitness \xfe " + str(VKEYS["w2"]).encode() + b"\n"
    data += b"witness K " + str(VKEYS["w3"]).encode() + b"\ngroup g all \xff \xfe\nquorum g\n"
    parsed = Policy.parse(data)
    first, second, _ = parsed.witnesses
    assert first != second
    assert parsed.satisfied_by([first, second])
    assert not parsed.satisfied_by([first, "K"])
    assert Policy.parse(parsed.format()) == parsed
    with pytest.raises(Malformed):
        Policy.parse(data.replace(b"quorum g", "quorum \u212a".encode()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        WITNESSES,
        "quorum",
        "quorum none",  # the line does not end
        "quorum none none\n",
        "quorum none\nquorum none\n",
        "quorum w1\n",
        "Quorum none\n",
        "quorum none\r\n",
        "quorum none\v\n",
        "quorum none\x7f\n",
        "quorum\u00a0none\n",
        "quorum w1\n" + WITNESSES,
        "witness w1\nquorum none\n",
        f"witness w1 {VKEYS['w1']} url more\nquorum none\n",
        f"log {LOG_KEY} url more\nquorum none\n",
        f"log {VKEYS['w1']}\nquorum none\n",
        f"witness w1 {LOG_KEY}\nquorum none\n",
        f"log {LOG_KEY}\nlog {LOG_KEY}\nquorum none\n",
        f"log {LOG_KEY}\nlog {VerifierKey.of('other', ED25519, LOG.public)}\nquorum none\n",
        f"witness a {VKEYS['w1']}\nwitness b {VKEYS['w1']}\nquorum none\n",
        f"witness a {VKEYS['w1']}\nwitness a {VKEYS['w2']}\nquorum none\n",
        f"witness none {VKEYS['w1']}\nquorum none\n",
        f"witness a {str(VKEYS['w1'])[:-1]}\nquorum none\n",
        WITNESSES + "group g\nquorum g\n",
        WITNESSES + "group g all\nquorum g\n",
        WITNESSES + "group g any\nquorum g\n",
        WITNESSES + "group g 0 w1\nquorum g\n",
        WITNESSES + "group g 2 w1\nquorum g\n",
        WITNESSES + "group g 01 w1\nquorum g\n",
        WITNESSES + "group g +1 w1\nquorum g\n",
        WITNESSES + "group g ١ w1\nquorum g\n",
        WITNESSES + "group g ALL w1\nquorum g\n",
        WITNESSES + "group g any none\nquorum g\n",
        WITNESSES + "group none any w1\nquorum none\n",
        WITNESSES + "group w1 any w2\nquorum w1\n",
        WITNESSES + "group g any g\nquorum g\n",
        WITNESSES + "group g any h\ngroup h any w1\nquorum g\n",
        WITNESSES + "group g 2 w1 w1\nquorum g\n",
        WITNESSES + "group g any w1\ngroup h any w1\nquorum h\n",
        "group g any w1\n" + WITNESSES + "quorum g\n",
    ],
)
def test_what_is_not_a_policy_is_refused(text: str) -> None:
    """Every departure from the syntax is malformed."""
    with pytest.raises(Malformed):
        policy(text)


@pytest.mark.parametrize(
    "text",
    [
        f"witness w1.pq {PQ_VKEYS['w1']}\nquorum none\n",
        f"witness w1.pq {VKEYS['w1']}\nwitness w1 {VKEYS['w2']}\nquorum none\n",
        f"witness w1.pq {PQ_VKEYS['w1']}\nwitness w1 {PQ_VKEYS['w2']}\nquorum none\n",
        f"witness .pq {PQ_VKEYS['w1']}\nquorum none\n",
        WITNESSES + f"group g any w1\nwitness g.pq {PQ_VKEYS['w1']}\nquorum g\n",
        WITNESSES + "group g.pq any w1\nquorum g.pq\n",
        PQ_WITNESSES + WITNESSES + "group g any w1 w1.pq\nquorum g\n",
        PQ_WITNESSES + WITNESSES + "quorum w1.pq\n",
        WITNESSES + f"witness w1.pq {PQ_VKEYS['w1']}\nwitness w1.pq {PQ_VKEYS['w2']}\nquorum w1\n",
        WITNESSES + f"witness w1.pq {PQ_VKEYS['w1']}\nwitness w2.pq {PQ_VKEYS['w1']}\nquorum w1\n",
    ],
)
def test_an_ml_dsa_line_stands_beside_its_witness_only(text: str) -> None:
    """A `.pq` line without its Ed25519 witness, with another key type, or used as a member is malformed."""
    with pytest.raises(Malformed):
        policy(text)


def test_a_policy_has_limits_above_those_recommended() -> None:
    """32 hybrid witnesses, 32 logs and 32 groups are read; too long a file is not."""
    text = ""
    for number in range(32):
        seed = bytes([number]) * 32
        ed25519_key, pq_key = Ed25519Key.from_seed(seed), MlDsa44Key.from_seed(seed)
        text += f"log {VerifierKey.of(f'log{number}', ED25519, ed25519_key.public)}\n"
        text += f"witness w{number} {VerifierKey.of('w', COSIGNATURE_ED25519, ed25519_key.public)}\n"
        text += f"witness w{number}.pq {VerifierKey.of('w', ML_DSA_44, pq_key.public)}\n"
        text += f"group g{number} any w{number}\n"
    parsed = policy(text + "quorum g31\n")
    assert (len(parsed.logs), len(parsed.witnesses), len(parsed.groups)) == (32, 32, 32)
    for long in ("#" * 1_048_577 + "\nquorum none\n", "#\n" * 5000 + "quorum none\n"):
        with pytest.raises(Malformed):
            policy(long)


def test_quorums_count_members() -> None:
    """`k`, `any` and `all` count, groups within groups, and strangers do not."""
    nested = WITNESSES + "group a any w1 w2\ngroup b all a w3\nquorum b\n"
    for text, enough in (
        (TWO_OF_THREE, lambda names: len(names) >= 2),
        (WITNESSES + "group g any w1 w2 w3\nquorum g\n", lambda names: len(names) >= 1),
        (WITNESSES + "group g all w1 w2 w3\nquorum g\n", lambda names: len(names) == 3),
        (WITNESSES + "quorum w2\n", lambda names: "w2" in names),
        ("quorum none\n", lambda names: True),
        (nested, lambda names: "w3" in names and len(names) >= 2),
    ):
        parsed = policy(text)
        for count in range(4):
            for names in combinations(NAMES, count):
                assert parsed.satisfied_by(names) == enough(names)
                assert parsed.satisfied_by((*names, "stranger", "g", "a", "b", "all-of-us")) == enough(names)


def test_a_quorum_makes_a_checkpoint_witnessed() -> None:
    """Log signature and quorum together give the checkpoint, all times, and the earliest sufficient time."""
    witnessed = policy(TWO_OF_THREE).verify(note(ed25519("w3", 300), ed25519("w1", 100), ed25519("w2", 200)), [LOG_KEY])
    assert witnessed.checkpoint == Checkpoint(ORIGIN, 7, bytes(32))
    assert witnessed.times == {"w1": 100, "w2": 200, "w3": 300}
    assert witnessed.time == 200


def test_the_time_follows_the_quorum_not_the_count() -> None:
    """The time is the least at which the witnesses so far satisfy the rule."""
    nested = policy(WITNESSES + "group a any w1 w2\ngroup b all a w3\nquorum b\n")
    assert nested.verify(note(ed25519("w1", 100), ed25519("w2", 200), ed25519("w3", 300)), [LOG_KEY]).time == 300
    assert nested.verify(note(ed25519("w1", 400), ed25519("w2", 200), ed25519("w3", 100)), [LOG_KEY]).time == 200


def test_without_a_quorum_nothing_is_witnessed() -> None:
    """Too few witnesses, one counted twice, or a stranger's cosignature do not make a quorum."""
    parsed = policy(TWO_OF_THREE)
    stranger = cosign_ed25519(SIGNED, "w9.example", Ed25519Key.from_seed(b"\x77" * 32), 100)
    for lines in ((), (ed25519("w1", 100),), (ed25519("w1", 100), ed25519("w1", 200)), (ed25519("w1", 100), stranger)):
        with pytest.raises(Untrusted, match=r"policy\.quorum"):
            parsed.verify(note(*lines), [LOG_KEY])


def test_a_wrong_cosignature_of_a_known_witness_spoils_the_note() -> None:
    """A forged cosignature is refused although the others are a quorum."""
    forged = SignatureLine("w3.example", VKEYS["w3"].key_id, bytes(72))
    with pytest.raises(Untrusted, match=r"cosignature\.wrong"):
        policy(TWO_OF_THREE).verify(note(ed25519("w1", 1), ed25519("w2", 1), forged), [LOG_KEY])


def test_witnesses_do_not_replace_the_log() -> None:
    """Without the log's own signature by a known key a quorum is worth nothing."""
    full = note(ed25519("w1", 1), ed25519("w2", 1))
    other = VerifierKey.of(ORIGIN, ED25519, KEYS["w1"].public)
    for keys in ([], [other], list(VKEYS.values())):
        with pytest.raises(Untrusted):
            policy(TWO_OF_THREE).verify(full, keys)


def test_the_policys_logs_count_where_no_keys_are_given() -> None:
    """Without keys from elsewhere the log lines decide; keys given take their place."""
    full = note(ed25519("w1", 1), ed25519("w2", 2))
    with_log = policy(f"log {LOG_KEY}\n{TWO_OF_THREE}")
    assert with_log.verify(full).time == 2
    with pytest.raises(Untrusted):
        policy(TWO_OF_THREE).verify(full)
    with pytest.raises(Untrusted):
        with_log.verify(full, [])


def test_without_required_witnesses_nobody_vouches_for_a_time() -> None:
    """Under `quorum none` a signed checkpoint passes, and its time is 0."""
    witnessed = policy(WITNESSES + "quorum none\n").verify(note(ed25519("w1", 100)), [LOG_KEY])
    assert (witnessed.times, witnessed.time) == ({"w1": 100}, 0)


def test_a_cosignature_without_a_time_does_not_count() -> None:
    """Time zero says nothing about when, so such a witness does not count towards the quorum."""
    with pytest.raises(Untrusted):
        policy(TWO_OF_THREE).verify(note(ed25519("w1", 0), ed25519("w2", 5)), [LOG_KEY])


def test_a_hybrid_witness_counts_with_both_cosignatures_at_the_later_time() -> None:
    """Both types by two witnesses make the quorum; each counts from the later of its two times."""
    lines = (ed25519("w1", 100), ml_dsa_44("w1", 150), ed25519("w2", 140), ml_dsa_44("w2", 120))
    witnessed = policy(HYBRID).verify(note(*lines), [LOG_KEY])
    assert (witnessed.times, witnessed.time) == ({"w1": 150, "w2": 140}, 150)


def test_a_hybrid_witness_is_not_downgraded() -> None:
    """Ed25519 alone, ML-DSA-44 alone, or ML-DSA-44 without a time do not count where both are in force."""
    parsed = policy(HYBRID)
    second = (ed25519("w2", 1), ml_dsa_44("w2", 1))
    for first in ((ed25519("w1", 1),), (ml_dsa_44("w1", 1),), (ed25519("w1", 1), ml_dsa_44("w1", 0))):
        with pytest.raises(Untrusted, match=r"policy\.quorum"):
            parsed.verify(note(*first, *second), [LOG_KEY])
    assert policy(TWO_OF_THREE).verify(note(ed25519("w1", 1), *second), [LOG_KEY]).time == 1
    whole = ml_dsa_44("w1", 1).signature
    broken = SignatureLine("w1.example", PQ_VKEYS["w1"].key_id, whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(Untrusted, match=r"cosignature\.wrong"):
        parsed.verify(note(ed25519("w1", 1), broken, *second), [LOG_KEY])


def test_an_ml_dsa_cosignature_of_another_checkpoint_does_not_count() -> None:
    """The second signature must be over the same checkpoint."""
    other = SignedCheckpoint.parse(sign_checkpoint(ORIGIN, 8, bytes(32), LOG))
    foreign = cosign_ml_dsa_44(other, "w1.example", PQ_KEYS["w1"], 1)
    with pytest.raises(Untrusted):
        policy(HYBRID).verify(note(ed25519("w1", 1), foreign, ed25519("w2", 1), ml_dsa_44("w2", 1)), [LOG_KEY])


def test_a_witness_may_have_ml_dsa_alone() -> None:
    """A witness line with an ML-DSA-44 key of its own, as the specification recommends, counts by it."""
    alone = policy(f"witness w1 {PQ_VKEYS['w1']}\nquorum w1\n")
    assert alone.verify(note(ml_dsa_44("w1", 7)), [LOG_KEY]).time == 7


def test_a_hybrid_log_is_not_downgraded() -> None:
    """With the log's ML-DSA-44 key in force, given or from the policy, its signature is required too."""
    lines = (ed25519("w1", 1), ed25519("w2", 1))
    hybrid = note(cosign_ml_dsa_44(SIGNED, ORIGIN, LOG_PQ, 0), *lines)
    listed = policy(f"log {LOG_KEY}\nlog {LOG_PQ_KEY}\n{TWO_OF_THREE}")
    assert listed.verify(hybrid).time == listed.verify(hybrid, [LOG_PQ_KEY, LOG_KEY]).time == 1
    for keys in (None, [LOG_KEY, LOG_PQ_KEY]):
        with pytest.raises(Untrusted, match=r"checkpoint\.downgraded"):
            listed.verify(note(*lines), keys)
