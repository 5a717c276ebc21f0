"""The quota's promises against whatever Hypothesis can think of, by number of invariant."""

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.quota_world import Way, World, all_servers, worst_window

from chargeover_async.limits import QuotaSettings

WINDOW_S = 10.0
GUARD_S = 0.5
PERMIT_S = 60 / 250


def unhurried(examples):
    """Simulating ten windows takes longer than Hypothesis likes."""
    slow = [HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, suppress_health_check=slow)


@st.composite
def ways(draw):
    """One request's fate: any connect time, a way out within the guard, any answer time."""
    out = draw(st.sampled_from([0.0, GUARD_S / 2, GUARD_S]) | st.floats(0, GUARD_S))
    connect = draw(st.sampled_from([0.0, 0.0, 0.0, 0.1, 3.0]) | st.floats(0, 4))
    unused = draw(st.integers(0, 5)) == 0
    return Way(
        # Refusing at once, for ever, would make this world spin: a worker tries again at once.
        connect=max(connect, 0.5) if unused else connect,
        out=out,
        answer=out + draw(st.sampled_from([0.0, 0.05, 0.5, 5.0]) | st.floats(0, 8)),
        unused=unused,
        refused=draw(st.integers(0, 30)) == 0,
        says_sent=draw(st.integers(0, 4)) > 0,
    )


moments = st.floats(0, 60) | st.integers(0, 6).map(lambda n: n * WINDOW_S)
calls = st.lists(st.tuples(moments, st.integers(1, 40)), max_size=6)


@unhurried(100)
@given(
    limit=st.integers(1, 12),
    burst=st.integers(0, 6),
    margin_s=st.sampled_from([0.002, 0.1]),
    fates=st.lists(ways(), min_size=1, max_size=12),
    workers=st.sampled_from([0, 1, 3, 100]),
    direct=calls,
    bulk=calls,
    cancelled_direct=st.lists(moments, max_size=8),
    cancelled_bulk=st.lists(moments, max_size=8),
)
def test_1_no_load_makes_any_server_refuse(
    limit, burst, margin_s, fates, workers, direct, bulk, cancelled_direct, cancelled_bulk
):
    """Bursts, idle times, slow answers, cancellations, failures and 429s: never one too many."""
    world = World(
        QuotaSettings(
            limit=limit,
            window_s=WINDOW_S,
            burst=min(burst, max(1, limit // 2)),
            guard_s=GUARD_S,
            margin_s=margin_s,
        ),
        way=lambda number: fates[number % len(fates)],
        bulk_workers=workers,
    )
    for at, count in direct:
        world.ask_direct(at, count)
    for at, count in bulk:
        world.ask_bulk(at, count)
    for at in cancelled_direct:
        world.give_up_direct(at)
    for at in cancelled_bulk:
        world.give_up_bulk(at)
    world.run(100.0)
    assert world.window.in_window <= limit
    assert worst_window(world.arrivals, WINDOW_S) <= limit
    for server in all_servers(limit, WINDOW_S):
        assert all(server.arrive(at) for at in sorted(world.arrivals))


@unhurried(12)
@given(
    answers=st.lists(st.sampled_from([0.0, 0.05, 0.3]) | st.floats(0, 0.3), min_size=1),
    direct=st.lists(st.tuples(st.floats(0, 599), st.integers(1, 60)), max_size=8),
)
def test_2_quick_answers_use_99_percent_evenly(answers, direct):
    """With any answers within 0.3 s and any bursts of direct calls: 99 %, no gap of 3 permits."""
    world = World(QuotaSettings(), bulk_workers=1000)
    world.way = lambda number: Way(answer=answers[number % len(answers)])
    for at, count in direct:
        world.ask_direct(at, count)
    world.run(600.0)
    assert world.used(10) >= 0.99
    assert world.longest_gap() <= 3 * PERMIT_S


@unhurried(12)
@given(
    laps=st.lists(
        st.tuples(
            st.lists(st.sampled_from([0.0, 0.3, 1.0, 5.0]) | st.floats(0, 5), min_size=1),
            st.integers(1, 600),
        ),
        min_size=1,
        max_size=6,
    ),
    direct=st.lists(st.tuples(st.floats(0, 599), st.integers(1, 60)), max_size=8),
)
def test_2_slow_answers_use_98_percent_evenly(laps, direct):
    """With answers up to 5 s, however they change, and any bursts: 98 %, no gap of 3 permits."""
    answers = itertools.cycle(
        itertools.chain.from_iterable(
            itertools.islice(itertools.cycle(lap), count) for lap, count in laps
        )
    )
    world = World(QuotaSettings(), way=lambda number: Way(answer=next(answers)), bulk_workers=1000)
    for at, count in direct:
        world.ask_direct(at, count)
    world.run(600.0)
    assert world.used(10) >= 0.98
    assert world.longest_gap() <= 3 * PERMIT_S


@unhurried(12)
@given(
    share=st.sampled_from([0.05, 0.2, 0.35, 0.5]),
    burst=st.integers(0, 125),
    answers=st.lists(st.floats(0, 3), min_size=1, max_size=20),
    floods=st.lists(st.tuples(st.floats(0, 200), st.integers(1, 400)), min_size=1, max_size=4),
)
def test_3_bulk_keeps_its_share_and_direct_its_lead(share, burst, answers, floods):
    """Whatever direct calls do, bulk gets its share less one burst's debt, and all calls end."""
    world = World(QuotaSettings(bulk_share=share, burst=burst), bulk_workers=1000)
    world.way = lambda number: Way(answer=answers[number % len(answers)])
    for at, count in floods:
        world.ask_direct(at, count)
    world.run(800.0)
    sends = len(world.sends)
    direct = len(world.direct_waits)
    assert sends - direct >= share * sends - max(1.0, burst * share) - 1
    assert direct == sum(count for _, count in floods)


@unhurried(100)
@given(turns=st.lists(st.sampled_from(["take", "done", "unused", "wait"]), max_size=200))
def test_4_giving_back_leaves_the_books_as_they_were(turns):
    """Interleaved with any other traffic, unused slots never count and never stop the flow."""
    world = World(QuotaSettings(limit=10, window_s=WINDOW_S))
    window, now, held, used = world.window, 0.0, [], 0
    for turn in turns:
        if turn == "wait":
            now += 0.7
        elif turn == "take":
            slot = window.grant(now, direct=True, bulk=True, may_burst=True)
            if slot is not None:
                held.append(slot)
        elif held and turn == "done":
            window.done(held.pop(), now)
            used += 1
        elif held:
            window.unused(held.pop(0), now)
        assert window.granted == used + len(held)
        assert window.in_flight == len(held)
        assert window.in_window <= 10
    for slot in held:
        window.unused(slot, now)
    later = now + WINDOW_S * 2
    assert window.grant(later, direct=True, bulk=False) is not None
    assert window.in_window == 1
