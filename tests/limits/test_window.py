"""The arithmetic of the quota, invariant by invariant; time is a number here."""

import math
import random

import pytest
from support.quota_world import (
    ROUNDING_S,
    BucketServer,
    FixedServer,
    RollingServer,
    Way,
    World,
    all_servers,
    worst_window,
)

from chargeover_async.limits import Priority, QuotaSettings
from chargeover_async.limits.window import QuotaWindow

SETTINGS = QuotaSettings()
PERMIT_S = 60 / 250
TEN_WINDOWS_S = 600.0


def small(**options):
    return QuotaSettings(**{"limit": 10, "window_s": 10.0, "margin_s": 0.01, **options})


def take(window, now, *, direct=False, bulk=True, may_burst=False):
    slot = window.grant(now, direct=direct, bulk=bulk, may_burst=may_burst)
    assert slot is not None
    return slot


# -- 1: the promise ------------------------------------------------------------------------------


def test_1_a_full_window_grants_nothing_until_a_slot_comes_back():
    """With every slot taken the next grant comes a window and a margin after an answer."""
    window = QuotaWindow(small(limit=2))
    first = take(window, 0.0, direct=True, may_burst=True)
    take(window, 0.0, direct=True, may_burst=True)
    window.done(first, 0.5)
    assert window.grant(10.5, direct=True, bulk=True, may_burst=True) is None
    assert window.wake_at(10.5) == pytest.approx(10.51)
    take(window, 10.51, direct=True)


def test_1_a_permit_that_was_not_sent_counts_for_ever():
    """A slow connection holds its slot until it is sent or ends; nothing is guessed."""
    window = QuotaWindow(small(limit=1))
    slot = take(window, 0.0)
    assert window.grant(1000.0, direct=True, bulk=True) is None
    assert window.wake_at(1000.0) is None
    window.done(slot, 1000.0)
    assert window.wake_at(1000.0) == pytest.approx(1010.01)
    assert window.grant(1010.0, direct=True, bulk=True) is None
    take(window, 1010.01)


def test_1_the_guard_settles_a_request_that_has_no_answer():
    """A sent request counts until guard + window + margin after sending, answer or not."""
    window = QuotaWindow(small(limit=1, guard_s=2.0))
    slot = take(window, 0.0)
    window.sent(slot, 5.0)
    assert window.wake_at(5.0) == pytest.approx(17.01)
    assert window.grant(17.0, direct=True, bulk=True) is None
    take(window, 17.02)
    window.done(slot, 18.0)
    assert window.in_window == 1


def test_1_an_early_answer_ends_the_guard():
    """The answer proves the arrival: the slot counts from then."""
    window = QuotaWindow(small(limit=1))
    slot = take(window, 0.0)
    window.sent(slot, 0.0)
    window.done(slot, 0.25)
    window.done(slot, 9.0)
    assert window.wake_at(9.0) == pytest.approx(10.26)


def test_1_a_repeat_by_the_http_layer_is_charged():
    """A second sending of one permit counts as one more request, whenever it happens."""
    window = QuotaWindow(small())
    slot = take(window, 0.0)
    window.sent(slot, 0.0)
    window.sent(slot, 0.1)
    assert (window.in_window, window.granted, window.in_flight) == (2, 2, 1)
    window.done(slot, 0.2)
    window.sent(slot, 0.3)
    assert (window.in_window, window.granted, window.in_flight) == (3, 3, 1)
    window.done(slot, 0.4)
    other = take(window, 2.0)
    window.unused(other, 2.0)
    window.sent(other, 2.1)
    assert (window.in_window, window.granted, window.in_flight) == (4, 4, 1)


def test_1_the_guard_of_a_first_sending_does_not_settle_its_repeat():
    """A repeat has a guard of its own, from its own sending."""
    window = QuotaWindow(small(limit=2))
    slot = take(window, 0.0)
    window.sent(slot, 0.0)
    window.sent(slot, 0.9)
    assert window.in_flight == 1
    assert window.grant(1.5, direct=True, bulk=True, may_burst=True) is None
    assert window.in_flight == 1
    assert window.grant(1.95, direct=True, bulk=True, may_burst=True) is None
    assert window.in_flight == 0


@pytest.mark.parametrize("answer_s", [0.0, 0.05, 0.3, 1.0, 5.0, 30.0])
@pytest.mark.parametrize("out_share", [0.0, 0.5, 1.0])
def test_1_no_kind_of_server_refuses_a_greedy_sender(answer_s, out_share):
    """Rolling, fixed and bucket servers all let ten windows of greedy load through."""
    world = World(SETTINGS, bulk_workers=1000)
    world.way = lambda number: Way(answer=answer_s, out=min(1.0, answer_s) * out_share)
    world.run(TEN_WINDOWS_S)
    assert worst_window(world.arrivals, 60.0) <= 250
    for server in all_servers(250, 60.0):
        assert all(server.arrive(at) for at in sorted(world.arrivals))


def test_1_the_servers_of_these_tests_do_refuse():
    """The witnesses work: each refuses what is one too many for it, and nothing before."""
    for server in (RollingServer(3, 10), FixedServer(3, 10), BucketServer(3, 10)):
        assert [server.arrive(at) for at in (0.0, 1.0, 2.0, 2.1)] == [True, True, True, False]
    fixed = FixedServer(3, 10)
    assert all(fixed.arrive(at) for at in (9.7, 9.8, 9.9, 10.0, 10.1, 10.2))
    rolling = RollingServer(3, 10)
    assert [rolling.arrive(at) for at in (9.7, 9.8, 9.9, 10.0)] == [True, True, True, False]


# -- 2: all of it, evenly ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer_s", "least"), [(0.0, 0.999), (0.05, 0.999), (0.3, 0.99), (1.0, 0.98), (5.0, 0.98)]
)
def test_2_the_quota_is_used_up(answer_s, least):
    """At least 99 % with answers within 0.3 s and 98 % with slower ones, over ten windows."""
    world = World(SETTINGS, way=lambda number: Way(answer=answer_s), bulk_workers=1000)
    world.run(TEN_WINDOWS_S)
    assert world.used(10) >= least
    expected = 60 / (60.012 + min(answer_s, 1.0))
    assert world.used(10) == pytest.approx(expected, abs=0.0006)
    assert world.longest_gap() <= 1.1 * PERMIT_S


@pytest.mark.parametrize("longest_s", [0.3, 1.0, 5.0])
def test_2_scattered_latencies_neither_waste_nor_stall(longest_s):
    """With answers anywhere between 0 and the longest, the longest one sets the pace."""
    chance = random.Random(7)
    world = World(SETTINGS, bulk_workers=1000)
    world.way = lambda number: Way(answer=chance.uniform(0, longest_s))
    world.run(TEN_WINDOWS_S)
    assert world.used(10) >= (0.99 if longest_s <= 0.3 else 0.98)
    assert world.longest_gap() <= 1.5 * PERMIT_S


def test_2_a_jump_in_the_latency_makes_no_gap():
    """When answers become slow, or fast again, sends stay even through the following laps."""
    world = World(SETTINGS, bulk_workers=1000)
    world.way = lambda number: Way(answer=5.0 if (number // 300) % 2 else 0.05)
    world.run(TEN_WINDOWS_S)
    assert world.longest_gap() <= 1.5 * PERMIT_S
    assert world.used(10) >= 0.98


def test_2_a_burst_is_paid_back_evenly():
    """Fifty direct calls at once slow the next minute's bulk to 60 s / 200, without a stall."""
    world = World(SETTINGS, way=lambda number: Way(answer=0.05), bulk_workers=1000)
    world.ask_direct(0.0, 50)
    world.run(TEN_WINDOWS_S)
    assert max(world.direct_waits) == 0.0
    paced = [t for t in world.by_class[Priority.BULK] if t < 59]
    assert len(paced) == pytest.approx(59 / (60 / 200), abs=2)
    assert world.longest_gap() <= 0.32
    assert world.used(10) >= 0.99


def test_2_bursts_in_a_bad_moment_leave_no_stall_of_seconds():
    """Direct calls may not take so much ahead that the rest of the minute has nothing left."""
    world = World(SETTINGS, way=lambda number: Way(answer=0.3), bulk_workers=1000)
    for at, calls in ((0, 50), (30, 60), (45, 40), (55, 40), (59, 40)):
        world.ask_direct(float(at), calls)
    world.run(TEN_WINDOWS_S)
    assert world.longest_gap() <= 3 * PERMIT_S


def test_2_many_permits_on_the_way_do_not_stop_the_flow():
    """With no word of the sending and answers after 30 s, sends stay even, if fewer."""
    world = World(SETTINGS, bulk_workers=1000)
    world.way = lambda number: Way(answer=30.0, says_sent=False)
    world.run(TEN_WINDOWS_S)
    assert worst_window(world.arrivals, 60.0) <= 250
    assert world.used(10) >= 0.63
    assert world.longest_gap(100.0) <= 3 * PERMIT_S


def test_2_a_late_timer_loses_no_turns():
    """Waking up to two intervals late, again and again, leaves the even schedule where it was."""
    window = QuotaWindow(SETTINGS)
    window.done(take(window, 0.0), 0.0)
    for now in (0.55, 0.55, 1.18, 1.18):
        window.done(take(window, now), now)
    assert window.grant(1.18, direct=False, bulk=True) is None
    assert window.wake_at(1.18) == pytest.approx(5 * 60.012 / 250, rel=0.01)


def test_2_an_idle_time_is_no_credit_for_bulk():
    """After an hour of nothing, bulk starts with three at once at most, and goes on evenly."""
    world = World(SETTINGS)
    world.ask_bulk(0.0)
    world.ask_bulk(3600.0, 100)
    world.run(3610.0)
    assert 1 <= sum(t == 3600.0 for t in world.sends) <= 3
    assert len(world.sends) - 1 == pytest.approx(10 / PERMIT_S, abs=3)


# -- 3: classes ----------------------------------------------------------------------------------


def test_3_a_direct_call_waits_two_permits_at_most_while_bulk_saturates():
    """The worst of 200 direct calls at random times waits for at most two permits."""
    for answer_s in (0.05, 0.3, 1.0, 5.0):
        chance = random.Random(3)
        world = World(SETTINGS, bulk_workers=1000)
        world.way = lambda number, longest=answer_s: Way(answer=longest)
        for _ in range(200):
            world.ask_direct(chance.uniform(0, TEN_WINDOWS_S))
        world.run(TEN_WINDOWS_S + 10)
        assert len(world.direct_waits) == 200
        assert max(world.direct_waits) <= 2 * PERMIT_S


def test_3_direct_comes_first_at_a_paced_turn():
    """When a turn is due and both wait, the direct call has it."""
    window = QuotaWindow(SETTINGS)
    assert take(window, 0.0, direct=True).priority is Priority.DIRECT


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_3_bulk_has_its_share_of_a_flood_of_direct_calls(share):
    """While direct calls ask for everything, bulk gets what it was promised."""
    settings = QuotaSettings(bulk_share=share)
    world = World(settings, way=lambda number: Way(answer=0.05), bulk_workers=1000)
    world.ask_direct(0.0, 10_000)
    world.run(TEN_WINDOWS_S)
    bulk = world.by_class[Priority.BULK]
    owed = share * len(world.sends) - settings.burst * share - 1
    assert owed <= len(bulk) <= share * len(world.sends) + 1
    assert world.used(10) >= 0.99


def test_3_bulk_never_has_two_turns_in_a_row_while_direct_waits():
    """Bulk that is owed a burst's worth of turns gets every second one."""
    world = World(SETTINGS, way=lambda number: Way(answer=0.05), bulk_workers=1000)
    world.ask_direct(0.0, 200)
    world.run(30.0)
    last_direct = world.by_class[Priority.DIRECT][-1]
    marks = sorted(
        [(t, "d") for t in world.by_class[Priority.DIRECT]]
        + [(t, "b") for t in world.by_class[Priority.BULK] if t < last_direct]
    )
    assert "bb" not in "".join(mark for _, mark in marks)


def test_3_an_idle_service_answers_a_burst_at_once():
    """From unused quota, a burst of direct calls waits for nothing."""
    world = World(SETTINGS)
    world.ask_direct(100.0, 50)
    world.run(101.0)
    assert world.direct_waits == [0.0] * 50


def test_3_early_grants_stop_where_they_would_slow_the_schedule_twofold():
    """However large the bucket, at most half of the quota goes ahead of the schedule."""
    world = World(SETTINGS, way=lambda number: Way(answer=0.05))
    world.ask_direct(0.0, 250)
    world.run(0.0)
    assert 120 <= len(world.direct_waits) <= 127
    world.run(60.0)
    assert world.longest_gap() <= 3 * PERMIT_S


def test_3_without_a_bucket_direct_calls_are_paced():
    """A burst that the bucket forbids goes out evenly."""
    world = World(SETTINGS, may_burst=lambda now: False)
    world.ask_direct(0.0, 10)
    world.run(10.0)
    assert world.direct_waits == pytest.approx([i * 60.012 / 250 for i in range(10)], abs=0.01)


# -- 4: unused -----------------------------------------------------------------------------------


def test_4_an_unused_slot_costs_nothing():
    """Counts, schedule and statistics are as if it had not been granted."""
    window = QuotaWindow(SETTINGS)
    window.done(take(window, 0.0), 0.0)
    slot = take(window, PERMIT_S * 1.01)
    due = window.wake_at(PERMIT_S * 1.01)
    window.unused(slot, PERMIT_S * 1.01)
    assert (window.in_window, window.in_flight, window.granted) == (1, 0, 1)
    take(window, PERMIT_S * 1.01)
    assert window.wake_at(PERMIT_S * 1.01) == pytest.approx(due, rel=1e-9)


def test_4_a_debt_to_bulk_is_taken_back():
    """A direct grant that comes to nothing does not bring bulk's turn nearer."""
    window = QuotaWindow(SETTINGS)
    for _ in range(4):
        window.unused(take(window, 0.0, direct=True, may_burst=True), 0.0)
    order = [take(window, i * 0.25, direct=True).priority.value for i in range(5)]
    assert order == ["direct"] * 4 + ["bulk"]
    assert (window.granted, window.granted_direct, window.granted_early) == (5, 4, 0)


def test_4_unused_after_the_end_changes_nothing():
    """What was answered, or given back before, cannot be given back."""
    window = QuotaWindow(SETTINGS)
    slot = take(window, 0.0)
    window.done(slot, 0.1)
    window.unused(slot, 0.2)
    assert (window.in_window, window.granted) == (1, 1)
    other = take(window, 1.0)
    window.unused(other, 1.0)
    window.unused(other, 1.0)
    window.done(other, 1.0)
    assert (window.in_window, window.granted) == (1, 1)


# -- 5: pauses -----------------------------------------------------------------------------------


def test_5_a_429_pauses_both_classes():
    """Nobody is granted anything until the pause is over."""
    window = QuotaWindow(SETTINGS)
    slot = take(window, 0.0, direct=True)
    assert window.throttled(1.0, None, slot, 0.0) == 5.0
    assert window.paused_for_s(5.0) == 1.0
    assert window.grant(5.9, direct=True, bulk=True, may_burst=True) is None
    assert window.wake_at(5.9) == 6.0
    assert window.paused_for_s(7.0) == 0.0


def test_5_refusals_of_the_same_moment_are_one_pause():
    """Of twenty requests that were under way, one begins the pause; none prolongs it."""
    window = QuotaWindow(SETTINGS)
    slots = [take(window, 0.0, direct=True, may_burst=True) for _ in range(20)]
    pauses = [window.throttled(1.0 + i / 10, 2.0, slot, 0.0) for i, slot in enumerate(slots)]
    assert pauses == [2.0] + [None] * 19
    assert window.throttled(50.0, 2.0, slots[0], 0.0) is None
    assert window.throttled(50.0, 2.0, None, 0.0) is None
    assert (window.pauses, window.throttled_answers) == (1, 22)
    assert window.limit == 200


def test_5_a_refusal_after_the_pause_is_a_new_one():
    """A request granted after the pause that is refused, too, begins another, longer pause."""
    window = QuotaWindow(SETTINGS)
    slot = take(window, 0.0)
    assert window.throttled(0.0, None, slot, 0.0) == 5.0
    for expected in (10.0, 20.0, 40.0, 60.0, 60.0):
        now = window.wake_at(0.0) + 3
        slot = take(window, now)
        assert window.throttled(now, None, slot, 0.0) == expected
    quiet = window.wake_at(0.0) + 100
    assert window.throttled(quiet, None, take(window, quiet), 0.0) == 5.0


@pytest.mark.parametrize(
    ("said", "pause"),
    [
        (None, 5.0),
        (math.nan, 5.0),
        (math.inf, 5.0),
        (-math.inf, 5.0),
        (-1.0, 5.0),
        (0.0, pytest.approx(PERMIT_S, rel=1e-3)),
        (30.0, 30.0),
        (1e9, 600.0),
    ],
)
def test_5_retry_after_is_believed_within_reason(said, pause):
    """A Retry-After that can be right is kept, up to ten windows; anything else is ignored."""
    window = QuotaWindow(SETTINGS)
    slot = take(window, 0.0)
    assert window.throttled(0.0, said, slot, 0.0) == pause


def test_5_jitter_only_prolongs():
    """The pause grows by up to a quarter, and is never shorter than what the server asked for."""
    window = QuotaWindow(SETTINGS)
    assert window.throttled(0.0, 8.0, take(window, 0.0), 0.999) == pytest.approx(10.0, abs=0.01)


# -- 6: what a 429 teaches -----------------------------------------------------------------------


def test_6_sending_restarts_slowly():
    """After a pause the rate grows from a fifth to the whole within a sixth of a window."""
    world = World(SETTINGS, bulk_workers=1000)
    world.way = lambda number: Way(answer=0.05, refused=number == 100)
    world.ask_direct(26.0, 50)
    world.run(60.0)
    began = 100 * 60.012 / 250 + 0.05
    resumed = began + 5.0 * 1.125
    assert not [t for t in world.sends if began < t < resumed]
    assert len([t for t in world.sends if resumed <= t < resumed + 1]) <= 2
    assert len([t for t in world.sends if resumed <= t < resumed + 5]) <= 10
    assert len([t for t in world.sends if resumed + 10 <= t < resumed + 15]) >= 10


def test_6_a_pause_is_no_credit():
    """However large the limit, what was not sent during a pause does not go out at its end."""
    window = QuotaWindow(QuotaSettings(limit=60_000))
    slot = take(window, 0.0)
    window.done(slot, 0.1)
    window.throttled(0.1, 3.0, slot, 0.0)
    granted = 0
    while window.grant(3.1, direct=True, bulk=True, may_burst=True):
        granted += 1
    assert granted <= 1


def test_6_the_learnt_limit_shrinks_with_each_pause_and_has_a_floor():
    """Each pause leaves four fifths, but never less than a tenth of the configured limit."""
    window = QuotaWindow(SETTINGS)
    limits = []
    now = 0.0
    for _ in range(15):
        slot = take(window, now)
        window.done(slot, now)
        window.throttled(now, None, slot, 0.0)
        limits.append(window.limit)
        now = window.wake_at(now) + 5
    assert limits[:4] == [200, 160, 128, 102]
    assert limits[-1] == 25
    tiny = QuotaWindow(QuotaSettings(limit=1))
    tiny.throttled(0.0, None, take(tiny, 0.0), 0.0)
    assert tiny.limit == 1


def test_6_success_grows_it_back():
    """A tenth of the limit comes back with each window of grants, up to what was configured."""
    world = World(SETTINGS, bulk_workers=1000)
    world.way = lambda number: Way(answer=0.05, refused=number == 0)
    world.run(70.0)
    at_first = world.window.limit
    world.run(130.0)
    assert 200 < at_first < world.window.limit < 250
    world.run(400.0)
    assert world.window.limit == 250


def test_6_a_neighbour_on_the_same_account_is_given_room():
    """When somebody else takes 100 a minute, refusals stay rare and most of the rest is used."""
    server = RollingServer(250, 60.0)
    foreign = [(i + 0.5) * 0.6 for i in range(3000)]
    world = World(SETTINGS, bulk_workers=100)
    accepted = []

    def way(number):
        while foreign and foreign[0] <= world.now:
            server.arrive(foreign.pop(0))
        while server.seen and server.seen[0] < world.now - 60:
            server.seen.popleft()
        if len(server.seen) >= 250:
            return Way(refused=True)
        server.arrive(world.now)
        accepted.append(world.now)
        return Way()

    world.way = way
    world.run(1800.0)
    assert world.window.throttled_answers <= 1800 / 60
    assert len(accepted) >= 0.7 * 150 * 30


# -- 7: time -------------------------------------------------------------------------------------


def test_7_time_that_runs_backwards_stands_still():
    """A clock that jumps back gives nothing away and stops nothing for good."""
    window = QuotaWindow(small(limit=2))
    slot = take(window, 100.0)
    window.sent(slot, 50.0)
    window.done(slot, 99.0)
    take(window, 60.0, direct=True, may_burst=True)
    assert window.grant(50.0, direct=True, bulk=True, may_burst=True) is None
    assert window.wake_at(50.0) == pytest.approx(110.01)
    take(window, 110.011)


# -- cost ----------------------------------------------------------------------------------------


def test_large_limits_see_the_time_pass():
    """With a limit that is planned in samples, a burst is there again after an idle time."""
    window = QuotaWindow(QuotaSettings(limit=2560))
    for now in (0.0, 120.0):
        granted = 0
        while slot := window.grant(now, direct=True, bulk=False, may_burst=True):
            window.done(slot, now)
            granted += 1
        assert granted == pytest.approx(1280, rel=0.02)


def test_large_limits_keep_the_books_short():
    """Slots that no longer count are forgotten, and a large limit is planned in samples."""
    window = QuotaWindow(QuotaSettings(limit=5000, window_s=1.0))
    now = 0.0
    while window.granted < 30_000:
        slot = window.grant(now, direct=False, bulk=True)
        if slot is None:
            now = max(now + ROUNDING_S, window.wake_at(now))
            continue
        window.done(slot, now)
    assert len(window._settled) <= 3 * 5000
    assert now == pytest.approx(6.0, rel=0.03)


def test_a_permit_that_is_never_ended_keeps_only_itself():
    """One leak costs one slot of the quota, and no memory for those that come after it."""
    window = QuotaWindow(small())
    take(window, 0.0)
    now = 0.0
    while window.granted < 2000:
        slot = window.grant(now, direct=False, bulk=True)
        if slot is None:
            now = max(now + ROUNDING_S, window.wake_at(now))
            continue
        window.done(slot, now)
    assert window.in_flight == 1
    assert len(window._flights) <= 300
    assert now == pytest.approx(2000 * 10.0 / 9, rel=0.02)
