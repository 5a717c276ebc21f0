"""Raw JSON, and records that do not fit their struct, for every object that is read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from support.scripted import World, envelope

from chargeover_async import Customer, DecodeError, Record, UsageError
from chargeover_async.resources import RESOURCES

LISTS = [resource for resource in RESOURCES.values() if hasattr(resource, "list")]
ITERATED = [resource for resource in LISTS if hasattr(resource, "iterate")]
READ = [resource for resource in RESOURCES.values() if hasattr(resource, "get")]
BY_KEY = {"customer", "invoice", "item", "user", "package", "transaction", "quote"}


def name(resource: Any) -> str:
    return resource.attribute


def good(resource: Any, number: int) -> dict[str, Any]:
    return {resource.primary: number, "brand_new": [1.50, {"a": ""}]}


def bad(resource: Any, number: int) -> tuple[dict[str, Any], str]:
    """A record with an object where plain text or a number is documented, and that field.

    A report is documented by its id alone: a number of it that no struct takes will do.
    """
    fields = [
        field for field in msgspec.structs.fields(resource.model) if "None" in str(field.type)
    ]
    field = next(
        (field.encode_name for field in fields if field.encode_name != resource.primary), ""
    )
    if not field:
        return {resource.primary: {"id": number}}, resource.primary
    return {resource.primary: number, field: {"what": "is this"}}, field


@pytest.mark.parametrize("resource", READ, ids=name)
async def test_get_gives_the_json_as_it_came(resource: Any):
    """Byte for byte, of a record that no struct could hold, too."""
    for record in (good(resource, 5), bad(resource, 5)[0]):
        world = World(envelope(200, record))
        found = await getattr(world.co, resource.attribute).get(5, raw=True)
        assert type(found) is bytes
        assert json.loads(found) == record
    with pytest.raises(UsageError, match="not both"):
        getattr(world.co, resource.attribute).get(5, raw=True, as_=resource.model)


@pytest.mark.parametrize("resource", LISTS, ids=name)
async def test_list_gives_the_json_record_by_record(resource: Any):
    """Whatever is in it."""
    page = [good(resource, 5), bad(resource, 6)[0]]
    world = World(envelope(200, page))
    found = await getattr(world.co, resource.attribute).list(raw=True)
    assert [type(record) for record in found] == [bytes, bytes]
    assert [json.loads(record) for record in found] == page
    with pytest.raises(UsageError, match="not both"):
        getattr(world.co, resource.attribute).list(raw=True, as_=resource.model)
    world = World(envelope(200, {"no": "list"}))
    with pytest.raises(DecodeError, match="not a list"):
        await getattr(world.co, resource.attribute).list(raw=True)


@pytest.mark.parametrize("resource", LISTS, ids=name)
async def test_a_list_can_go_on_without_what_it_cannot_read(resource: Any):
    """The error names object, id and field and carries the raw JSON of the record."""
    wrong, field = bad(resource, 6)
    page = [good(resource, 5), wrong, good(resource, 7)]
    world = World(envelope(200, page), envelope(200, page))
    errors: list[DecodeError] = []
    found = await getattr(world.co, resource.attribute).list(on_unreadable=errors.append)
    assert [getattr(record, primary(resource)) for record in found] == [5, 7]
    (error,) = errors
    assert (error.object, error.id) == (resource.model.__name__, wrong[resource.primary])
    assert error.field.startswith(field)
    assert json.loads(error.raw) == wrong
    with pytest.raises(DecodeError, match=field):
        await getattr(world.co, resource.attribute).list()
    with pytest.raises(UsageError, match="takes a function"):
        getattr(world.co, resource.attribute).list(on_unreadable="skip")


def primary(resource: Any) -> str:
    fields = msgspec.structs.fields(resource.model)
    return next(field.name for field in fields if field.encode_name == resource.primary)


@pytest.mark.parametrize("resource", ITERATED, ids=name)
async def test_an_iteration_need_not_stop(resource: Any):
    """Nor skip a page: what could not be read counts, and the next page begins behind it."""
    pages = [
        [good(resource, 5), bad(resource, 6)[0]],
        [bad(resource, 7)[0], bad(resource, 8)[0]],
        [good(resource, 9)],
        [],
    ]
    errors: list[DecodeError] = []
    world = World(*[envelope(200, page) for page in pages])
    resource_of = getattr(world.co, resource.attribute)
    found = [record async for record in resource_of.iterate(page=2, on_unreadable=errors.append)]
    assert [getattr(record, primary(resource)) for record in found] == [5, 9]
    assert [error.id for error in errors] == [6, 7, 8]
    told = world.sent
    world = World(*[envelope(200, page) for page in pages])
    raw = [
        record async for record in getattr(world.co, resource.attribute).iterate(page=2, raw=True)
    ]
    assert [json.loads(record) for record in raw] == [record for page in pages for record in page]
    assert world.sent == told
    if resource.object in BY_KEY:
        assert f"where={resource.primary}:GT:8" in told[2]
    else:
        assert "offset=4" in told[2] or f"{resource.primary}:GT:8" in told[2]


async def test_without_a_listener_an_iteration_stops_where_it_cannot_read():
    """Nothing is left out in silence."""
    world = World(envelope(200, [good(RESOURCES["customer"], 5), bad(RESOURCES["customer"], 6)[0]]))
    with pytest.raises(DecodeError) as caught:
        [customer async for customer in world.co.customers.iterate()]
    assert caught.value.id == 6


async def test_what_a_listener_raises_ends_the_iteration():
    """It comes as it is, after the records before."""

    class Enough(Exception):
        pass

    def stop(error: DecodeError) -> None:
        raise Enough

    customers = RESOURCES["customer"]
    world = World(envelope(200, [good(customers, 5), bad(customers, 6)[0]]))
    records = world.co.customers.iterate(on_unreadable=stop)
    assert (await anext(records)).customer_id == 5
    with pytest.raises(Enough):
        await anext(records)


class Named(Customer):
    number: int | None = msgspec.field(name="customer_id", default=None)


class Other(Record):
    company: str | None = None


async def test_the_key_of_a_page_is_found_under_another_name():
    """A subclass may rename it; a struct without it cannot be paged by it."""
    page = [{"customer_id": 5}, {"customer_id": "6"}]
    world = World(envelope(200, page), envelope(200, []))
    found = [customer.number async for customer in world.co.customers.iterate(page=2, as_=Named)]
    assert found == [5, 6]
    assert "customer_id:GT:6" in world.sent[1]
    world = World(envelope(200, page))
    with pytest.raises(DecodeError, match="pass order="):
        [customer async for customer in world.co.customers.iterate(page=2, as_=Other)]


@pytest.mark.parametrize("last", [{"company": "x"}, {"customer_id": "x"}, {"customer_id": True}, 5])
async def test_a_page_that_ends_in_no_key_is_not_paged_by_it(last: Any):
    """Raw JSON is not believed more than a struct is."""
    world = World(envelope(200, [{"customer_id": 1}, last]))
    with pytest.raises(DecodeError, match="does not page"):
        [customer async for customer in world.co.customers.iterate(page=2, raw=True)]


async def test_a_stream_goes_on_behind_an_answer_that_cannot_be_read():
    """A read in a batch is an outcome like any other: done, with the error and the raw JSON."""
    world = World(envelope(200, {"customer_id": 5, "total": "much"}), envelope(200, 3))
    co = world.co
    operations: list[Any] = [co.customers.get(5), co.customers.count()]
    outcomes = [outcome for operation in operations async for outcome in co.stream([operation])]
    assert outcomes[0].state == "done"
    assert isinstance(outcomes[0].error, DecodeError)
    assert json.loads(outcomes[0].error.raw) == {"customer_id": 5, "total": "much"}
    assert outcomes[1].value == 3


async def test_a_call_that_is_not_wrapped_may_be_raw_too():
    """``co.request(raw=True)``."""
    world = World(envelope(200, {"a": "1.50"}))
    assert json.loads(await world.co.request("GET", "/thing", raw=True)) == {"a": "1.50"}
    with pytest.raises(UsageError, match="not both"):
        world.co.request("GET", "/thing", raw=True, as_=Customer)


async def test_a_report_may_be_raw():
    """Its rows are shown by no source."""
    rows = [{"a": "1.50", "b": []}]
    world = World(envelope(200, rows), envelope(200, rows))
    assert json.loads(await world.co.reports.report_data(5, raw=True)) == rows
    assert json.loads(await world.co.aggregate("invoice", ["SUM(total)"], raw=True)) == rows
    with pytest.raises(UsageError, match="not both"):
        world.co.reports.report_data(5, raw=True, as_=list[int])
    with pytest.raises(UsageError, match="not both"):
        world.co.aggregate("invoice", ["x"], raw=True, as_=list[int])
