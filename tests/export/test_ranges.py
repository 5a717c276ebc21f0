"""The planner of id ranges against servers with any gaps, page limits and order of answers."""

from __future__ import annotations

import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeover_async.export.ranges import Range, Ranges

SPARSE_IDS = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(1, 60), st.integers(1, 9)), max_size=12
)


def ids_of(clusters: list[tuple[int, int, int]]) -> list[int]:
    """Ids from (gap before, how many, step) after one another."""
    ids: list[int] = []
    last = 0
    for gap, count, step in clusters:
        ids += range(last + gap + 1, last + gap + 1 + count * step, step)
        last = ids[-1]
    return ids


class Server:
    """Answers ranges as a list does: rising, at most ``limit``."""

    def __init__(self, ids: list[int], limit: int) -> None:
        self.ids = ids
        self.limit = limit
        self.asked = 0
        self.pages = 0
        self.counts = 0

    def count(self, counted: Range) -> int | None:
        self.counts += 1
        assert counted.upto is not None
        low, high = bisect_right(self.ids, counted.after), bisect_right(self.ids, counted.upto)
        return high - low

    def page(self, asked: Range) -> list[int]:
        self.pages += 1
        low = bisect_right(self.ids, asked.after)
        high = len(self.ids) if asked.upto is None else bisect_right(self.ids, asked.upto)
        return self.ids[low : min(high, low + self.limit)]


def read(
    server: Server,
    source: random.Random,
    *,
    after: int = 0,
    per_request: int = 25,
    in_flight: int = 3,
    density: float = 1.0,
    full: int | None = None,
    late: tuple[int, ...] = (),
) -> list[int]:
    """Read all as `Reader` does, the answers in any order; new ids appear half way."""
    highest = max(server.ids, default=0)
    ranges = Ranges[list[int]](
        after,
        highest,
        full=full or server.limit,
        density=density,
        window=per_request * in_flight,
    )
    flights: list[list[Range]] = []
    found: list[int] = []
    asked: list[Range] = []
    while True:
        while len(flights) < in_flight and (taken := ranges.take(per_request)):
            assert 1 <= len(taken) <= per_request
            flights.append(taken)
            asked += taken
            server.asked += 1
        for page in ranges.ready():
            found += page
        if not flights:
            if ranges.done:
                break
            if (counted := ranges.to_prove()) is not None:
                ranges.proved(server.count(counted))
            continue
        for ids in flights.pop(source.randrange(len(flights))):
            page = server.page(ids)
            ranges.answer(ids, page, page)
        if (counted := ranges.to_prove()) is not None:
            ranges.proved(server.count(counted))
        if late and server.asked > 1:
            server.ids = sorted({*server.ids, *(highest + offset for offset in late)})
            late = ()
        assert server.asked < 20_000
    return found


@given(
    clusters=SPARSE_IDS,
    limit=st.integers(1, 40),
    per_request=st.integers(1, 25),
    in_flight=st.integers(1, 4),
    density=st.floats(0, 1),
    seed=st.integers(0, 99),
    late=st.lists(st.integers(1, 500), max_size=30).map(tuple),
)
def test_every_id_comes_once_and_in_order(
    clusters: list[tuple[int, int, int]],
    limit: int,
    per_request: int,
    in_flight: int,
    density: float,
    seed: int,
    late: tuple[int, ...],
) -> None:
    """Whatever the gaps, the page limit, what is believed of the density, and what is created."""
    server = Server(ids_of(clusters), limit)
    there = list(server.ids)
    found = read(
        server,
        random.Random(seed),
        per_request=per_request,
        in_flight=in_flight,
        density=density,
        late=late,
    )
    assert found == sorted(set(found))
    assert set(found) >= set(there)
    assert set(found) <= set(server.ids)
    if not late:
        assert found == there


@given(clusters=SPARSE_IDS, after=st.integers(0, 5000), limit=st.integers(1, 40))
def test_it_begins_behind_an_id(
    clusters: list[tuple[int, int, int]], after: int, limit: int
) -> None:
    """What was read before is not read again, whether or not the id is there."""
    server = Server(ids_of(clusters), limit)
    wanted = [number for number in server.ids if number > after]
    assert read(server, random.Random(1), after=after) == wanted


@given(clusters=SPARSE_IDS, seed=st.integers(0, 99))
def test_a_server_may_answer_more_than_it_seemed_to(
    clusters: list[tuple[int, int, int]], seed: int
) -> None:
    """A first page that was short for another reason is no page limit for good."""
    server = Server(ids_of(clusters), 30)
    assert read(server, random.Random(seed), full=3) == server.ids


@pytest.mark.parametrize(("count", "requests"), [(500, 1), (12_500, 2), (1_000_000, 81)])
def test_dense_ids_take_a_request_for_25_full_pages(count: int, requests: int) -> None:
    """Each range holds a page and no more, and one open range behind them finds what is new."""
    server = Server(list(range(1, count + 1)), 500)
    assert len(read(server, random.Random(0))) == count
    assert (server.pages, server.asked) == (count // 500 + 1, requests)


@pytest.mark.parametrize("share", [0.95, 0.5, 0.05, 0.001])
def test_evenly_sparse_ids_take_few_requests_more(share: float) -> None:
    """The width follows the density: at most a fifth above full pages, plus a start."""
    source = random.Random(3)
    span = int(200_000 / share)
    ids = sorted(source.sample(range(1, span), 200_000))
    server = Server(ids, 500)
    assert read(server, source, density=share) == ids
    assert server.pages <= 1.2 * 400 + 25
    assert server.asked <= 1.2 * 16 + 6


def test_a_wrong_idea_of_the_density_is_soon_corrected() -> None:
    """Ids a thousand times sparser, or denser, than believed."""
    sparse = Server([1000 * i for i in range(1, 50_001)], 500)
    assert read(sparse, random.Random(0), density=1.0) == sparse.ids
    assert sparse.asked <= 15
    dense = Server(list(range(1, 50_001)), 500)
    assert read(dense, random.Random(0), density=0.001) == dense.ids
    assert dense.asked <= 15


def test_wide_gaps_are_crossed_in_a_few_requests() -> None:
    """Islands of 1,000 ids, a milliard apart."""
    ids = [island * 10**9 + i for island in range(1, 21) for i in range(1000)]
    server = Server(ids, 500)
    assert read(server, random.Random(0), density=len(ids) / ids[-1]) == ids
    assert server.asked <= 5 * 20


def test_what_waits_for_its_turn_is_bounded() -> None:
    """However wrong the widths, no more than a few windows of pages are kept."""
    source = random.Random(5)
    starts = [source.randrange(10**7) for _ in range(40)]
    ids = sorted({number for start in starts for number in range(start, start + 3000)})
    server = Server(ids, 500)
    ranges = Ranges[list[int]](0, ids[-1], full=500, density=1e-6, window=75)
    kept = 0
    while not ranges.done:
        for asked in ranges.take(25):
            page = server.page(asked)
            ranges.answer(asked, page, page)
            if (counted := ranges.to_prove()) is not None:
                ranges.proved(server.count(counted))
        kept = max(kept, len(ranges._kept))
        list(ranges.ready())
    assert ranges.position >= ids[-1]
    assert kept <= 3 * 75
