"""What goes over the wire, and what is not taken from it."""

import fcntl
import json
import pickle
import socket
import struct
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from service.engine.turn import Answer
from service.readers import wire as wire_module
from service.readers.bell import Bell
from service.readers.wire import Buffer, Hung, Wire
from service.readers.words import Answered, Garbled, hear, obey, order, say

Ends = tuple[Wire, Wire]


@pytest.fixture
def ends() -> Iterator[Ends]:
    here, there = socket.socketpair()
    with here, there:
        yield Wire(here), Wire(there)


def test_words_and_arrays_arrive_as_they_were_said(ends: Ends) -> None:
    here, there = ends
    patches = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)[:, ::-1]

    say(here, "asked", {"number": 3}, {"patches": patches, "none": np.empty((0, 5), np.float32)})
    word = hear(there)

    assert (word.kind, word.fields) == ("asked", {"number": 3})
    np.testing.assert_array_equal(word.arrays["patches"], patches)
    assert word.arrays["none"].shape == (0, 5)


def test_answers_larger_than_the_socket_holds_arrive_whole(ends: Ends) -> None:
    here, there = ends
    gradients = np.random.default_rng(0).standard_normal((8, 2, 60, 30, 30), dtype=np.float32)
    sender = threading.Thread(target=order, args=(here, Answered(1, Answer(np.ones(8, np.float32), gradients, 0.5))))
    sender.start()
    answered, _ = obey(there)
    sender.join()

    np.testing.assert_array_equal(answered.answer.gradients, gradients)


@pytest.mark.parametrize(
    "header",
    [
        pickle.dumps(print),
        b"",
        b"[" * 100_000,
        b'["done"]',
        b'["done", [], []]'.replace(b"[]", b"3"),
        json.dumps(["done", {}, [["x", "object", 1]]]).encode(),
        json.dumps(["done", {}, [["x", "uint8", 9]]]).encode(),
        json.dumps(["done", {}, [["x", "uint8", -1]]]).encode(),
        json.dumps(["done", {}, [["x", "uint8", True]]]).encode(),
        json.dumps(["done", {}, [["x", "float32", 1.5]]]).encode(),
        json.dumps(["done", {}, []]).encode(),
    ],
)
def test_what_is_no_word_of_a_reader_is_garbled(ends: Ends, header: bytes) -> None:
    here, there = ends
    here.send(header, [np.zeros(4, np.uint8)])

    with pytest.raises(Garbled):
        hear(there)


def test_a_frame_larger_than_any_clip_is_not_waited_for(ends: Ends) -> None:
    here, there = ends
    here._end.sendall(struct.pack("<QII", 10, 1, 0) + struct.pack("<Q", 2**60))

    with pytest.raises(Hung):
        there.receive()


def test_more_buffers_than_any_word_has_are_not_waited_for(ends: Ends) -> None:
    here, there = ends
    here._end.sendall(struct.pack("<QII", 10, 2**31, 0))

    with pytest.raises(Hung):
        there.receive()


def test_whoever_hangs_up_in_the_middle_is_missed(ends: Ends) -> None:
    here, there = ends
    here._end.sendall(struct.pack("<QII", 100, 0, 0) + b"half")
    here.close()

    with pytest.raises(Hung):
        there.receive()


def test_whoever_falls_silent_in_the_middle_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "SILENT_S", 1)
    here, there = socket.socketpair()
    with here, there:
        here.sendall(struct.pack("<QII", 100, 0, 0))
        with pytest.raises(OSError, match="unavailable"):
            Wire(there).receive()


def test_whoever_has_nothing_to_say_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "SILENT_S", 1)
    here, there = socket.socketpair()
    with here, there:
        ends = Wire(here), Wire(there)
        threading.Timer(1.5, ends[0].send, (b"at last",)).start()
        assert ends[1].receive() == (b"at last", [])


def test_a_service_with_thousands_of_open_files_hears_as_well() -> None:
    """select(2) takes no descriptor from 1024 on."""
    here, there = socket.socketpair()
    high = socket.socket(fileno=fcntl.fcntl(there.fileno(), fcntl.F_DUPFD, 1500))
    with here, there, high:
        Wire(here).send(b"hello")
        assert Wire(high).receive() == (b"hello", [])


def test_whoever_takes_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "SILENT_S", 1)
    here, there = socket.socketpair()
    large: Buffer = np.zeros(2**24, np.uint8)
    with here, there, pytest.raises(OSError, match="unavailable"):
        Wire(here).send(b"", [large])


def test_a_bell_gives_what_was_put_and_whoever_comes_too_late_meets_no_error() -> None:
    with Bell[int]() as bell:
        for n in range(5000):  # more rings than its socket holds
            bell.put(n)
        assert bell.take() == list(range(5000))
        assert bell.take() == []
    bell.put(1)
