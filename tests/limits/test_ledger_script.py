"""The Lua script does what the Python model does, step by step, on a real server."""

import random
import re

import msgspec
import pytest
from support.redis_server import RedisServer, needs_redis

from chargeover_async.limits import QuotaSettings, base, ledger
from chargeover_async.limits.ledger import Call, Report, Rules, exchange
from chargeover_async.limits.redis import SCRIPT, reply_of


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    redis = pytest.importorskip("redis", reason="extra redis is not installed")
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    with redis.Redis.from_url(server.url) as client:
        yield client
    server.stop()


def history(seed):
    """What a few processes may say in the course of some minutes, clocks being set in between."""
    chance = random.Random(seed)
    rules = Rules.of(
        QuotaSettings(
            limit=chance.choice([1, 3, 25, 250, 1000]),
            window_s=chance.choice([6.0, 60.0]),
            guard_s=chance.choice([0.0, 0.3, 1.0]),
        )
    )
    clock, server = 1_790_000_000_000_000, "one"
    seen = {}
    held = {name: [] for name in "abc"}
    for _ in range(120):
        clock += int(chance.expovariate(1) * chance.choice([1_000, 100_000, 400_000, 3_000_000]))
        strange = chance.random()
        if strange < 0.02:
            clock += chance.choice([-30_000_000, 30_000_000, -200_000, 200_000, 90_000_000])
        elif strange < 0.03:
            server = chance.choice(["one", "two"])
        name = chance.choice("abc")
        books, now, told_at = seen.get(name, (0, 0, 0))
        if strange > 0.98:
            now += 50_000_000  # somebody who was told more than these books know
        reports = []
        for slot in held[name][:]:
            kind = chance.choice("SSSSUH  ")
            if kind == " ":
                continue
            reports.append(Report(kind, slot, chance.randrange(3_000_000) if kind == "S" else 0))
            if kind != "H":
                held[name].remove(slot)
        if chance.random() < 0.03:
            wait = chance.choice([-1, 0, 2_000_000, 10**12])
            reports.append(Report("T", "", wait, chance.choice([-1, now, 0])))
        call = Call(
            rules=rules if chance.random() > 0.01 else Rules.of(QuotaSettings(7)),
            process=name,
            books=books,
            seen=now,
            elapsed=max(0, clock - told_at) if chance.random() > 0.05 else 1000,
            direct=chance.choice([0, 0, 1, 2, 60]),
            bulk=chance.choice([-1, 0, 1, 5, 1000]),
            chance=chance.randrange(1_000_000),
            trusts_empty=seed % 3 > 0,
            reports=tuple(reports),
        )
        reply = yield clock, server, call
        if not reply.quarrel:
            seen[name] = (reply.books, reply.now, clock)
            held[name].extend(grant.slot for grant in reply.grants)


@needs_redis
@pytest.mark.parametrize("seed", range(40))
def test_the_script_and_the_model_agree_word_for_word(client, seed):
    """Grants, waits, pauses, lost books, clocks that are set: every answer is the same."""
    key = f"chargeover:{{model-{seed}}}:quota"
    ledger, granted, lost = None, 0, set()
    steps = history(seed)
    step = next(steps)
    while True:
        clock, server, call = step
        ledger, expected = exchange(ledger, clock, server, call)
        word = msgspec.json.encode(call)
        found = reply_of(client.eval(SCRIPT, 1, key, word, clock, server))
        assert found == expected
        granted += len(expected.grants)
        lost.add(expected.books)
        try:
            step = steps.send(expected)
        except StopIteration:
            break
    stored = {k.decode(): v.decode() for k, v in client.hgetall(key).items()}
    assert {k[2:]: int(v) for k, v in stored.items() if k.startswith("s:")} == ledger.slots
    assert {k[2:]: int(v) for k, v in stored.items() if k.startswith("a:")} == ledger.askers
    assert int(stored["shift"]) == ledger.shift


def test_the_constants_of_the_script_are_those_of_the_model():
    """They stand once in Python; every number that the script names is compared."""
    named = dict(re.findall(r"^local ([A-Z_]+) = ([0-9.]+)$", SCRIPT, re.MULTILINE))
    assert named.keys() >= {"STRETCH", "RAMP_FROM", "RAMP_PART", "LONGEST_PAUSE_WINDOWS"}
    for name, number in named.items():
        owner = base if hasattr(base, name) else ledger
        assert float(number) == getattr(owner, name), name
    assert not re.search(r"^local [A-Z_]+ = [^0-9]", SCRIPT, re.MULTILINE)


# A ledger as the script with eighteen words wrote it: a grant, a ticket, one slot settled.
BEFORE = {
    "books": "1790000000000000",
    "server": "one",
    "now": "1790000001500000",
    "shift": "0",
    "rules": "3 60000000 12000 1000000 5000000",
    "last_slot": "1790000000000003",
    "lost_until": "1790000000000000",
    "anchor": "1790000000400000",
    "learnt": "3000",
    "early_level": "0",
    "early_at": "1790000001500000",
    "pause_began": "-1",
    "paused_until": "0",
    "since_pause": "3",
    "strikes": "0",
    "pauses": "0",
    "s:1790000000000001": "1790000060300000",
    "s:1790000000000002": "1790000066012000",
    "s:1790000000000003": "1790000066412000",
    "a:abcdef": "1790000021504000",
}


@needs_redis
def test_what_was_stored_before_is_read(client):
    """Slots, ticket and rules of an older version count: nothing is granted beyond them."""
    key = "chargeover:{before}:quota"
    client.hset(key, mapping=BEFORE)
    call = Call(rules=Rules.of(QuotaSettings(3)), process="new", bulk=1)

    def reply(clock):
        return reply_of(client.eval(SCRIPT, 1, key, msgspec.json.encode(call), clock, "one"))

    early = reply(1790000002000000)
    assert (early.books, early.grants, early.in_window) == (1790000000000000, (), 3)
    assert client.hget(key, "a:new") is not None
    assert len(reply(1790000061000000).grants) == 1  # the settled one has ended
    other = Call(rules=Rules.of(QuotaSettings(4)), process="other", bulk=1)
    word = msgspec.json.encode(other)
    quarrel = reply_of(client.eval(SCRIPT, 1, key, word, 1790000061500000, "one")).quarrel
    assert quarrel == BEFORE["rules"]
