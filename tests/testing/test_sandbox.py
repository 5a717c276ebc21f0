"""`TestSandbox`: every fault by its name, every question, and what a failed assertion says."""

from __future__ import annotations

import asyncio
import datetime as dt
from decimal import Decimal

import pytest
from support.places import DOCS

import chargeover_async.testing
from chargeover_async import (
    ChargeOver,
    F,
    OutcomeUnknown,
    QuotaSettings,
    RateLimited,
    RetryPolicy,
    ServerError,
    TransportError,
)
from chargeover_async.limits import NoLimit
from chargeover_async.sandbox import Quota
from chargeover_async.testing import Received, TestSandbox, fake_clock

ONCE = RetryPolicy(attempts=1, attempts_after_500=1, total_s=0)
CARD = "4111111111111111"


@pytest.fixture
async def sandbox():
    async with TestSandbox(quota=None) as running:
        yield running


@pytest.fixture
async def co(sandbox):
    async with sandbox.client() as client:
        yield client


@pytest.mark.parametrize(
    ("order", "error", "done"),
    [
        (lambda box: box.lose_answer("POST /customer"), OutcomeUnknown, 1),
        (lambda box: box.cut_answer("POST /customer"), OutcomeUnknown, 1),
        (lambda box: box.drop("POST /customer"), TransportError, 0),
        (lambda box: box.refuse("POST"), RateLimited, 0),
        (lambda box: box.fail("POST /customer"), ServerError, 0),
        (lambda box: box.fail("/customer", status=502), OutcomeUnknown, 0),
        (lambda box: box.fail("/customer", status=503), OutcomeUnknown, 0),
        (lambda box: box.play("500_after", "/customer"), ServerError, 1),
        (lambda box: box.fail(status=500), ServerError, 0),
    ],
)
async def test_each_trouble_is_what_its_name_says(sandbox, order, error, done):
    """One request meets it, the work is done or not, and the next request is sound."""
    assert order(sandbox) is sandbox
    async with sandbox.client(retry=ONCE) as co:
        with fake_clock(), pytest.raises(error):
            await co.customers.create(company="Acme")
        assert sandbox.store.count("customer") == done
        assert await co.customers.count() == done


async def test_a_delay_takes_its_time_of_the_clock(sandbox, co):
    """And none of the test's."""
    sandbox.delay(30, "GET /customer/_count", times=2)
    with fake_clock() as clock:
        assert await co.customers.list() == []
        assert clock.elapsed < 1
        for _ in range(3):
            await co.customers.count()
        assert 60 <= clock.elapsed < 61


async def test_down_lasts_as_long_as_it_was_ordered(sandbox):
    """Inside the block, or for some seconds of the clock; the account's time goes along."""
    async with sandbox.client(retry=ONCE) as co:
        with sandbox.down():
            for _ in range(2):
                with pytest.raises(TransportError):
                    await co.customers.count()
        assert await co.customers.count() == 0
        with fake_clock():
            before = (await co.customers.create(company="Early")).id
            assert sandbox.down_for(90) is sandbox
            await asyncio.sleep(89)
            with pytest.raises(TransportError):
                await co.customers.count()
            await asyncio.sleep(2)
            after = (await co.customers.create(company="Late")).id
        stamps = [
            dt.datetime.fromisoformat(sandbox.store.find("customer", id_)["write_datetime"])
            for id_ in (before, after)
        ]
        assert 90 <= (stamps[1] - stamps[0]).total_seconds() <= 93


def test_what_cannot_be_ordered_is_an_error():
    """At once, not when a request comes."""
    sandbox = TestSandbox()
    for order in (
        lambda: sandbox.play("earthquake"),
        lambda: sandbox.play("earthquake", "POST /customer"),
        lambda: sandbox.lose_answer(times=0),
        lambda: sandbox.lose_answer("customer"),
        lambda: sandbox.delay(-1),
        lambda: sandbox.assert_created_once("customer"),
    ):
        with pytest.raises(ValueError, match=r"."):
            order()
    assert sandbox.faults.scripted == 0


@pytest.mark.parametrize(
    "target",
    ["PSOT /customer", "PATCH /customer", "/custmer", "POST /customers", "G* /invoices/*", "XX*"],
)
def test_a_target_that_fits_no_request_is_refused(target):
    """By whatever asks for one, before a test can pass for nothing."""
    sandbox = TestSandbox()
    for ask in (
        sandbox.lose_answer,
        sandbox.refuse,
        sandbox.received,
        sandbox.assert_received,
        sandbox.assert_not_received,
    ):
        with pytest.raises(ValueError, match=r"no request (can fit|has the method of) '"):
            ask(target)
    assert sandbox.faults.scripted == 0


@pytest.mark.parametrize(
    "target",
    ["*", "POST", "D*", "/_bulk", "/teapot", "/customer", "PUT /customer/*", "* /c*", "/*", "/"],
)
def test_a_target_that_some_request_fits_is_taken(target):
    """Patterns, too."""
    TestSandbox().drop(target).assert_not_received(target)


async def test_an_order_that_was_never_met_is_told():
    """At the end of a block that went well, by its name and target; once met is enough."""

    async def run():
        async with TestSandbox(quota=None) as sandbox, sandbox.client() as co:
            sandbox.lose_answer("POST /invoice").fail("GET /customer/_count", times=2)
            assert await co.customers.count() == 0

    with pytest.raises(AssertionError, match=r"never met:\n  lost for 'POST /invoice'\n") as told:
        await run()
    assert "GET /customer/_count -> 500" in str(told.value)
    started = await TestSandbox().start()
    started.refuse()
    with pytest.raises(AssertionError, match=r"never met:\n  429\n"):
        await started.__aexit__(None, None, None)
    assert not started.is_running
    async with TestSandbox(quota=None) as sandbox, sandbox.client() as co:
        sandbox.fail("GET", times=100, status=502)
        with pytest.raises(TransportError):
            await co.customers.count()
        sandbox.assert_faults_met()


async def test_an_order_that_was_taken_back_need_not_be_met():
    """Nor one of a block that failed, whose own error is the news."""
    async with TestSandbox() as sandbox:
        sandbox.drop("DELETE")
        sandbox.faults.clear()

    async def fail():
        async with TestSandbox() as sandbox:
            sandbox.drop("DELETE")
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        await fail()


async def test_equal_orders_are_told_apart():
    """The first is met, the second waits."""
    async with TestSandbox(quota=None) as sandbox, sandbox.client(retry=ONCE) as co:
        for order in (sandbox.drop, lambda: sandbox.drop("GET")):
            order()
            order()
            with pytest.raises(TransportError):
                await co.customers.count()
            with pytest.raises(AssertionError, match=r"never met:\n  reset_before[^\n]*\nThe"):
                sandbox.assert_faults_met()
            sandbox.faults.clear()


@pytest.mark.parametrize("quota", [Quota(), Quota(kind=None)], ids=["quota", "none"])
async def test_what_is_refused_is_not_waited_for(quota):
    """Two 429s that were ordered cost no time to speak of, alone and in a batch."""
    async with TestSandbox(quota=quota) as sandbox, sandbox.client() as co:
        with fake_clock() as clock:
            sandbox.refuse().refuse("POST /customer")
            await co.customers.create(company="A")
            assert clock.elapsed < 0.1
            sandbox.refuse("/_bulk", times=2)
            async with co.bulk() as bulk:
                bulk.customers.create(company="B")
                bulk.customers.create(company="C")
        assert clock.elapsed < 1  # batches keep to the pace of the quota, 0.24 s each
    assert sandbox.store.count("customer") == 3


async def test_what_the_quota_refuses_is_waited_for():
    """The kit's client pauses when the sandbox's quota says so."""
    async with (
        TestSandbox(quota=Quota(2, 60)) as sandbox,
        sandbox.client() as other,
        sandbox.client() as co,
    ):
        with fake_clock() as clock:
            for client in (other, other, co):
                await client.customers.count()
        assert clock.elapsed > 1
    assert 429 in [entry.status for entry in sandbox.log]


async def test_calls_are_what_was_asked_for_alone_or_in_a_batch(sandbox, co):
    """In order, with payload and answer; a batch that was not worked on stands for itself."""
    await co.customers.create(company="A/B", external_key="a")
    sandbox.refuse("/_bulk")
    with fake_clock():
        async with co.bulk() as bulk:
            acme = bulk.customers.create(company="Acme")
            bulk.invoices.create(customer_id=acme.ref(), line_items=[{"item_id": 9}])
    await co.customers.list(where=[F.company == "Acme"], limit=5)
    first, refused, customer, invoice, listed = sandbox.calls
    assert (first.method, first.path, first.status, first.request) == ("POST", "/customer", 201, 1)
    assert first.payload == {"company": "A/B", "external_key": "a"}
    assert (str(refused), refused.in_bulk) == ("POST /_bulk -> 429, met the fault 429", False)
    assert [call.status for call in (customer, invoice)] == [201, 400]
    assert customer.in_bulk
    assert customer.request == invoice.request == 3
    assert str(customer) == "POST /customer -> 201 (in _bulk 3)"
    assert (listed.path, dict(listed.query)) == (
        "/customer",
        {"where": "company:EQUALS:Acme", "limit": "5"},
    )
    assert listed.payload is None
    assert sandbox.bulks == [[customer, invoice]]


async def test_received_compares_by_value(sandbox, co):
    """Numbers whatever their type, texts exactly, nested fields in part."""
    sandbox.store.seed("item", {"item_id": 1})
    line = {"item_id": 1, "line_rate": Decimal("2.50"), "descrip": "x"}
    acme = await co.customers.create(company="007")
    await co.invoices.create(customer_id=acme.id, line_items=[line])
    assert sandbox.received("POST /invoice", line_items=[{"line_rate": 2.5}])
    assert sandbox.received("POST /invoice", line_items=[{"line_rate": "2.5", "item_id": "1"}])
    assert not sandbox.received("POST /invoice", line_items=[{"line_rate": "2.51"}])
    assert not sandbox.received("POST /invoice", line_items=[])
    assert not sandbox.received("POST /invoice", line_items=[{"colour": "red"}])
    assert sandbox.received("POST", company="007")
    assert not sandbox.received("POST", company="7")
    assert not sandbox.received("GET")


async def test_a_body_that_is_no_json_has_no_payload(sandbox, co):
    """Something else than the client may have sent it."""
    reader, writer = await asyncio.open_connection(sandbox.host, sandbox.port)
    writer.write(b"POST /api/v3/customer HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{]")
    await reader.readline()
    writer.close()
    await writer.wait_closed()
    (call,) = sandbox.calls
    assert call.payload is None
    assert not call.fits("POST /customer", {"company": "Acme"})


async def test_assertions_pass_when_it_is_so(sandbox, co):
    """And give what was found."""
    sandbox.assert_not_received()
    await co.customers.create(company="A", external_key="a")
    await co.customers.create(company="B", external_key="b")
    await co.customers.update(1, bill_city="Lyon")
    assert len(sandbox.assert_received("POST /customer", times=2)) == 2
    (update,) = sandbox.assert_received("PUT /customer/*", bill_city="Lyon")
    assert update.path == "/customer/1"
    assert isinstance(update, Received)
    sandbox.assert_not_received("DELETE")
    sandbox.assert_not_received("POST /customer", company="C")
    assert sandbox.assert_created_once("customer", external_key="a")["bill_city"] == "Lyon"
    sandbox.assert_each_created_once("customer", "external_key", ["b", "a"])
    sandbox.assert_within_quota()


async def test_assertions_fail_when_it_is_not_and_say_what_arrived(sandbox, co):
    """Counts, ids and calls; no payload, for it may hold a card number."""
    for _ in range(2):
        await co.request("POST", "/customer", json={"company": "Twin", "custom_1": CARD})
    await co.customers.create(company="Other", external_key="o")
    sandbox.refuse("GET")
    with fake_clock():
        await co.customers.count()
    for check, text in (
        (
            lambda: sandbox.assert_received("DELETE"),
            "DELETE should have arrived at least once, but",
        ),
        (lambda: sandbox.assert_received("POST", times=1), "arrived once, but did 3 times"),
        (sandbox.assert_not_received, "should have arrived never, but did 5 times"),
        (
            lambda: sandbox.assert_received("POST", company="Nobody"),
            "POST with company='Nobody' should have arrived at least once, but did never",
        ),
        (
            lambda: sandbox.assert_created_once("customer", company="Twin"),
            "there should be one customer with company='Twin', but there are 2 (customer_id: 1, 2)",
        ),
        (
            lambda: sandbox.assert_created_once("customer", company="Nobody"),
            "there are 0 (customer_id: none)",
        ),
        (
            lambda: sandbox.assert_each_created_once("customer", "company", ["Twin", "Gone"]),
            "'Gone': 0 in place of 1\n  'Other': 1 in place of 0\n  'Twin': 2 in place of 1",
        ),
        (sandbox.assert_within_quota, "1 of 5 requests were answered with 429"),
    ):
        with pytest.raises(AssertionError) as failed:
            check()
        assert text in str(failed.value)
        assert CARD not in str(failed.value)
    with pytest.raises(AssertionError, match="POST /customer -> 201"):
        sandbox.assert_received("DELETE")
    assert CARD not in repr(sandbox.calls)


async def test_a_long_history_is_cut_in_messages(sandbox, co):
    """The last calls are the ones that matter."""
    for _ in range(23):
        await co.customers.count()
    with pytest.raises(AssertionError, match=r"\.\.\. 3 before these"):
        sandbox.assert_received("POST")


async def test_clients_keep_to_the_quota_of_the_sandbox():
    """Unless the test says otherwise."""
    with fake_clock() as clock:
        async with TestSandbox(quota=Quota(5, 60)) as sandbox, sandbox.client() as co:
            for _ in range(12):
                await co.customers.count()
            sandbox.assert_within_quota()
            assert 120 <= clock.elapsed < 125
            async with sandbox.client(limiter=NoLimit(), retry=ONCE) as hasty:
                results = [hasty.customers.count() for _ in range(6)]
                with pytest.raises(RateLimited):
                    await asyncio.gather(*results)
            async with sandbox.client(quota=QuotaSettings(7, 60)) as other:
                assert other.limiter.stats.limit == 7
    async with TestSandbox(quota=None) as sandbox, sandbox.client() as free:
        assert isinstance(free.limiter, NoLimit)


async def test_a_service_may_read_its_environment(sandbox, monkeypatch):
    """`environ` is what `ChargeOver.from_env` wants."""
    for name, value in sandbox.environ.items():
        monkeypatch.setenv(name, value)
    async with ChargeOver.from_env() as co:
        assert await co.customers.count() == 0


async def test_it_is_a_sandbox_with_all_arguments():
    """Its own clock and time included."""
    midnight = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    async with TestSandbox(clock=lambda: 7.0, now=lambda: midnight, password="s") as sandbox:
        async with sandbox.client() as co:
            await co.customers.create(company="Acme")
        assert sandbox.log[0].at == 7
        assert sandbox.store.find("customer", 1)["write_datetime"] == "2026-01-01 00:00:00"
    assert TestSandbox().store.today()  # outside of any loop, too


def test_what_is_offered_is_documented():
    """Every public name of the kit stands in docs/testing.md."""

    text = (DOCS / "testing.md").read_text("utf-8")
    names = {name for name in vars(TestSandbox) if not name.startswith("_")}
    missing = {name for name in names | {"fake_clock", "Received"} if name not in text}
    assert missing <= {"environ", "records"}
    assert set(chargeover_async.testing.__all__) >= {"TestSandbox", "fake_clock"}
