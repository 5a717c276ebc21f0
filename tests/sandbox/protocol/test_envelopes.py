"""Envelopes, codes and error texts, as recorded or documented."""

from __future__ import annotations

import pytest

from chargeover_async.sandbox.protocol.answers import decode, encode

REVISION_KEYS = {
    *("context_str", "context_id", "admin_id", "admin_name", "user_id", "user_name"),
    *("integration_id", "revision_datetime", "revision_ipaddr", "revision_note"),
}


def test_create_answers_201_with_the_id(account):
    """A create answers with the new id and nothing else."""
    assert account("POST", "/customer", {"company": "Acme"}) == {
        "code": 201,
        "status": "OK",
        "message": "",
        "response": {"id": 1},
    }


def test_update_answers_202_with_the_id(account):
    """An update answers with the id and nothing else."""
    account.customer()
    assert account("PUT", "/customer/1", {"bill_city": "Storrs"}) == {
        "code": 202,
        "status": "OK",
        "message": "",
        "response": {"id": 1},
    }


def test_delete_answers_true_and_the_record_is_gone(account):
    """A deleted record answers 404 with a null response (recording delete_customer)."""
    account.customer()
    assert account("DELETE", "/customer/1")["response"] is True
    assert account("GET", "/customer/1") == {
        "code": 404,
        "status": "Error",
        "message": "This customer does not exist.",
        "response": None,
    }


@pytest.mark.parametrize("name", ["customer", "user", "invoice", "item"])
@pytest.mark.parametrize("segment", ["7", "external_key:nope", "token:nope", "abc", "0"])
def test_missing_record_is_404(account, name, segment):
    """A record that is not there is a 404 in every form of address."""
    envelope = account("GET", f"/{name}/{segment}")
    assert (envelope["code"], envelope["response"]) == (404, None)
    assert envelope["message"] == f"This {name} does not exist."


@pytest.mark.parametrize("name", ["customer", "user", "invoice", "item"])
@pytest.mark.parametrize("payload", [None, {}])
def test_create_without_data_is_refused(account, name, payload):
    """An empty create has the recorded text."""
    message = account.refused("POST", f"/{name}", payload)
    assert message == "A required parameter was missing: No data."


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("GET", "/customers", "list(customers, )"),
        ("GET", "/project", "list(project, )"),
        ("GET", "/project/5", "get(project, 5)"),
        ("POST", "/project", "create(project, )"),
        ("PUT", "/project/5", "modify(project, 5)"),
        ("DELETE", "/project/5", "delete(project, 5)"),
    ],
)
def test_unknown_object_is_named_with_the_command(account, method, path, form):
    """An object that is not modelled answers like an unknown one."""
    message = account.refused(method, path, {"a": 1} if method != "GET" else None)
    assert message == f"The object type requested is not supported: {form}"


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("PUT", "/item/1", "modify(item, 1)"),
        ("DELETE", "/item/1", "delete(item, 1)"),
        ("POST", "/customer/1?action=fly", "fly(customer, 1)"),
        ("POST", "/customer/1/_action/fly", "fly(customer, 1)"),
        ("PUT", "/customer", "modify(customer, )"),
        ("PATCH", "/customer/1", "patch(customer, 1)"),
        ("POST", "/customer/1", "create(customer, 1)"),
    ],
)
def test_unknown_command_on_a_known_object_is_not_supported(account, method, path, form):
    """A command that an object lacks has the recorded form of text."""
    account.item()
    account.customer()
    message = account.refused(method, path, {"name": "x"})
    assert message == f"The command requested is not supported: {form}"


@pytest.mark.parametrize(
    "fields",
    [
        {"parent_customer_id": "none"},
        {"no_taxes": "maybe"},
        {"company": ["list"]},
        {"company": True},
        {"tags": "a,b"},
        {"admin_id": 1.5},
        {"admin_id": 2**63},
        {"custom_1": 2**70},
    ],
)
def test_wrong_type_is_refused(account, fields):
    """A value that does not fit its field is refused and nothing is created."""
    message = account.refused("POST", "/customer", {"company": "Acme", **fields})
    assert message == "Missing or invalid parameter."


def test_unknown_fields_are_ignored(account):
    """A field nobody knows does no harm and is not kept."""
    customer = account.customer(nonsense=1, customer_id=99, total=5)
    record = account.ok("GET", f"/customer/{customer}")
    assert record["customer_id"] == customer == 1
    assert record["total"] == 0
    assert "nonsense" not in record


def test_numbers_may_be_sent_as_strings(account):
    """Ids and amounts in strings are taken (recording add_line_item)."""
    customer, item = account.customer(), account.item(base="800")
    invoice = account.invoice(customer, {"item_id": str(item)}, terms_id="3")
    record = account.ok("GET", f"/invoice/{invoice}")
    assert (record["total"], record["terms_id"]) == (800, 3)
    assert record["line_items"][0]["item_id"] == item


def test_path_is_read_leniently_where_sources_do(account):
    """A slash at the end and an upper-case API are taken."""
    account.customer()
    assert account("GET", "/customer/1/")["code"] == 200
    assert account.api.answer("GET", "/API/v3/customer/1", None).code == 200
    assert account.api.answer("GET", "/api/v4/customer/1", None).code == 400


def test_teapot_answers(account):
    """The address for trying credentials answers OK."""
    assert account("GET", "/teapot")["status"] == "OK"


@pytest.mark.parametrize("text", ["/", "a/b", "\\/", "\\\\/", "</script>", '"/"'])
def test_slashes_are_escaped_and_come_back_unchanged(text):
    """Every slash goes out as an escaped one and means the same."""
    written = encode({text: [text]})
    assert written.count(b"/") == written.count(b"\\/")
    assert decode(written) == {text: [text]}


def test_flags_and_dummies_are_harmless(account):
    """Query parameters that the vendor's clients add change nothing."""
    account.customer()
    extras = "_dummy=1&_flag_emails=0&on_behalf_addr=1.2.3.4&on_behalf_details=a%40b"
    assert account("PUT", f"/customer/1?{extras}", {"company": "B"})["code"] == 202
    assert account.store.find("customer", 1)["company"] == "B"


def test_revisions_are_newest_first_and_bounded(account, wall):
    """The last ten revisions come newest first, fewer on request, with the documented keys."""
    account.customer()
    for minute in range(1, 13):
        wall.advance(minutes=1)
        account.ok("PUT", "/customer/1", {"company": f"Acme {minute}"})
    entries = account.ok("GET", "/customer/1/_revision")
    assert len(entries) == 10
    assert all(entry.keys() == REVISION_KEYS for entry in entries)
    times = [entry["revision_datetime"] for entry in entries]
    assert times == sorted(times, reverse=True)
    assert times[0] == "2026-03-01 09:42:00"
    assert account.ok("GET", "/customer/1/_revision?limit=3") == entries[:3]
    assert account.ok("GET", "/customer/1/_revision?limit=99") == entries


def test_first_revision_is_the_creation(account, wall):
    """An unchanged record has one revision; a changed one ends with its creation."""
    account.customer()
    wall.advance(hours=1)
    account.ok("POST", "/customer/1?action=setInactive")
    newest, oldest = account.ok("GET", "/customer/1/_revision")
    assert oldest["revision_note"] == "Customer created"
    assert (newest["context_str"], newest["context_id"]) == ("customer", 1)


def test_datetimes_can_be_iso_8601(make_account):
    """A switch writes datetimes with the account's offset, dates stay dates."""
    account = make_account(iso_datetimes=True)
    invoice = account.invoice(account.customer(), {"item_id": account.item()})
    record = account.ok("GET", f"/invoice/{invoice}")
    assert record["write_datetime"] == "2026-03-01T09:30:00+00:00"
    assert record["date"] == "2026-03-01"
    assert record["void_datetime"] is None
    assert account.ok("GET", "/item/1")["tiersets"][0]["write_datetime"].endswith("+00:00")
    revision = account.ok("GET", f"/invoice/{invoice}/_revision")[0]
    assert revision["revision_datetime"] == "2026-03-01T09:30:00+00:00"
