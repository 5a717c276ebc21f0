"""From the caller's thread to the loop: the invariants of `Feed`, by number, and of the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from chargeover_async.cluster.loop import Feed, running_loop


async def take(feed: Feed[int], most: int | None = None) -> list[int]:
    taken: list[int] = []
    async for item in feed:
        taken.append(item)
        if len(taken) == most:
            feed.close()
            break
    return taken


def test_1_items_come_out_in_order_and_once():
    """However small the room, and whoever waits for whom."""
    for room in (1, 2, 7, 10_000):
        with running_loop() as loop:
            feed = Feed[int](loop, room)
            work = loop.start(take(feed))
            assert all(feed.put(number) for number in range(2_000))
            feed.end()
            assert loop.finish(work) == list(range(2_000))


def test_2_who_puts_never_waits_for_a_loop_that_takes_no_more():
    with running_loop() as loop:
        feed = Feed[int](loop, room=3)
        work = loop.start(take(feed, most=5))
        put = [feed.put(number) for number in range(100)]
        assert put[:5] == [True] * 5
        assert put[-1] is False
        assert loop.finish(work) == [0, 1, 2, 3, 4]


def test_3_an_end_is_met_behind_the_last_item():
    with running_loop() as loop:
        feed = Feed[int](loop)
        for number in range(3):
            feed.put(number)
        feed.end()
        assert loop.finish(loop.start(take(feed))) == [0, 1, 2]


def test_what_still_runs_is_cancelled_and_awaited_when_the_block_is_left():
    said: list[str] = []

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("cleaned up")

    def interrupted() -> None:
        with running_loop() as loop:
            loop.start(works())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert said == ["cleaned up"]
    assert not [thread for thread in threading.enumerate() if thread.name == "chargeover-loop"]


async def test_a_thread_whose_own_loop_runs_may_use_it():
    """As in a notebook, or in an actor of Ray."""

    async def answer() -> int:
        return 42

    with running_loop() as loop:
        assert loop.run(answer()) == 42
