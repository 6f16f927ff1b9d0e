"""Frames: whatever comes, frames or `Malformed`; whatever is sent arrives, however it is cut into packets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Malformed
from qaztech.node import frames

HASH = st.binary(min_size=32, max_size=32)
SIGNATURE = st.binary(min_size=64, max_size=64)
COUNT = st.integers(0, 2**63 - 1)
TEXT = st.text(max_size=40)
DATA = st.binary(max_size=200)
ORIGIN = st.text(min_size=1, max_size=40)
HASHES = st.lists(HASH, max_size=5)
ACCEPTED = st.builds(frames.Accepted, ORIGIN, COUNT, HASH, SIGNATURE)
FRAMES = st.one_of(
    st.builds(frames.Hello, st.integers(0, 9), TEXT, TEXT, ORIGIN, st.lists(ACCEPTED, max_size=3)),
    st.builds(frames.Head, COUNT, DATA, COUNT, SIGNATURE, st.none() | HASHES, st.none() | HASHES),
    st.builds(frames.Request, COUNT, COUNT, DATA, HASH, DATA, TEXT, DATA, DATA, st.none() | DATA),
    st.builds(frames.Response, COUNT, COUNT, COUNT, DATA, HASH, DATA, st.none() | DATA),
    st.builds(frames.Refused, COUNT, COUNT, COUNT, DATA, TEXT),
    st.builds(frames.Dropped, COUNT, TEXT, TEXT),
    st.builds(frames.Ack, st.binary(min_size=16, max_size=16), COUNT, COUNT),
    st.builds(frames.Data, COUNT, DATA),
    st.builds(frames.Tail, COUNT, COUNT, DATA),
    st.builds(frames.Window, COUNT, COUNT),
    st.builds(frames.Cancel, COUNT, TEXT),
    st.builds(frames.Question, COUNT, st.text(max_size=32), DATA),
    st.builds(frames.Answer, COUNT, TEXT, DATA),
    st.builds(frames.Goaway, TEXT),
    st.builds(frames.Ping, st.booleans()),
)


def read(pieces):
    """All frames in these pieces, one reader."""
    reader = frames.FrameReader()
    return [frame for piece in pieces for frame in reader.feed(piece)]


def cut(data, places):
    """The bytes in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 10_000), max_size=8))
def test_what_is_sent_arrives_however_it_is_cut(sent, places):
    """Packets have no meaning."""
    assert read(cut(b"".join(map(frames.encode_frame, sent)), places)) == sent


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=4))
def test_any_bytes_are_frames_or_malformed(data, places):
    """Nothing but the project's own error escapes."""
    try:
        read(cut(data, places))
    except (Malformed, UnicodeDecodeError):
        return


@given(st.integers(0, 30), st.binary(max_size=120))
def test_any_payload_is_a_frame_or_malformed(kind, payload):
    """Also behind a length that is right."""
    try:
        read([(len(payload) + 1).to_bytes(4, "big") + bytes((kind,)) + payload])
    except (Malformed, UnicodeDecodeError):
        return


@given(FRAMES, st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=200)
def test_a_frame_with_a_byte_changed_is_a_frame_or_malformed(frame, place, change):
    """And never something else than a frame."""
    data = bytearray(frames.encode_frame(frame))
    data[place % len(data)] ^= change
    try:
        came = read([bytes(data)])
    except (Malformed, UnicodeDecodeError):
        return
    assert len(came) <= 1


def test_text_that_is_not_utf_8_is_malformed():
    """Nothing but the project's own error escapes."""
    data = frames.encode_frame(frames.Goaway("abcd")).replace(b"abcd", b"ab\xff\xff")
    with pytest.raises(Malformed):
        read([data])


@given(FRAMES)
def test_a_frame_that_is_cut_short_is_waited_for(frame):
    """Half a frame is none yet."""
    data = frames.encode_frame(frame)
    assert read([data[:-1]]) == []
