"""The file that grows: what its note vouches for is on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from chargeover_async.export import part as module
from chargeover_async.export.part import Part, PartState

QUESTION = {"object": "customer"}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def note_of(output: Path) -> PartState:
    raw = output.with_name("out.jsonl.part.json").read_bytes()
    return msgspec.json.decode(raw, type=PartState)


def test_the_note_is_never_ahead_of_the_data(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill between the two leaves a note that tells of less than there is, not of more."""
    synced: list[int] = []
    truly_sync, truly_write = os.fsync, module.write_whole

    def fsync(handle: int) -> None:
        synced.append(os.fstat(handle).st_size)
        truly_sync(handle)

    def write_whole(path: Path, data: bytes) -> None:
        size = msgspec.json.decode(data, type=PartState).size
        assert synced, "the note before the data"
        assert synced[-1] == size == output.with_name("out.jsonl.part").stat().st_size
        synced.clear()
        truly_write(path, data)
        synced.clear()

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(module, "write_whole", write_whole)
    part = Part(output, QUESTION)
    for number in range(1, 4):
        part.append(b"x" * number * 10)  # less than any buffer
        part.save(number, number, {})
        assert note_of(output).size == part.size
    part.close()


def test_what_lies_behind_the_note_is_cut_off(output: Path) -> None:
    """A torn line after a kill."""
    part = Part(output, QUESTION)
    part.append(b"one\n")
    part.save(1, 1, {})
    part.append(b"tw")
    part.close()
    again = Part(output, QUESTION)
    assert (again.state.after, again.size) == (1, 4)
    again.append(b"two\n")
    again.finish()
    assert output.read_bytes() == b"one\ntwo\n"


def test_a_note_that_tells_of_more_than_there_is_is_refused(output: Path) -> None:
    """The data may have been lost with the machine; nothing is made of what is left."""
    part = Part(output, QUESTION)
    part.append(b"one\ntwo\n")
    part.save(2, 2, {})
    part.close()
    with output.with_name("out.jsonl.part").open("rb+") as file:
        file.truncate(5)
    with pytest.raises(module.UsageError, match="tells of 8 bytes"):
        Part(output, QUESTION)
