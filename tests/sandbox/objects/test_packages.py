"""Subscriptions: lines, actions in all spellings, statuses, dates, amounts."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from chargeover_async.sandbox.objects.account import cycles
from chargeover_async.sandbox.objects.account.pricing import charges, take


@pytest.fixture
def subscribe(account):
    """Creates a subscription of a new customer with lines of new items at 10 a month."""

    def create(*lines, **fields):
        customer_id = fields.pop("customer_id", None) or account.customer()
        sent = lines or ({"item_id": account.item(10, name="Plan")},)
        payload = {"customer_id": customer_id, "line_items": list(sent), **fields}
        return account.ok("POST", "/package", payload)["id"]

    return create


def test_a_new_subscription_has_the_recorded_shape(account, subscribe):
    """Defaults, the item's own price in the line, and the first invoice on the next day."""
    item_id = account.item("10.50", name="Plan", external_key="plan", units="seat")
    package = account.ok("GET", f"/package/{subscribe({'item_id': item_id})}")
    assert (package["package_id"], package["nickname"], package["paymethod"]) == (554, "", "inv")
    assert (package["paycycle"], package["paycycle_name"]) == ("mon", "Monthly")
    assert package["next_invoice_datetime"] == "2026-03-02 00:00:01"
    assert package["package_status_str"] == "active-current"
    assert (package["package_status_id"], package["package_status_state"]) == (2, "a")
    assert "bill_block" not in package
    (line,) = package["line_items"]
    item = account.ok("GET", f"/item/{item_id}")
    assert line["tierset"] == item["tiersets"][0]
    assert line["tierset_id"] == item["tierset_id"]
    assert (line["item_name"], line["item_external_key"]) == ("Plan", "plan")
    assert (line["item_token"], line["item_units"]) == (item["token"], "seat")
    assert line["subscribe_datetime"] == "2026-03-01 09:30:00"
    assert line.keys() & {"package_id", "position", "token", "write_datetime"} == set()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{}], "A required parameter was missing: item_id."),
        ([{"item_id": 99}], 'There is no item with the item_id value "99"'),
        (["x"], "Missing or invalid parameter."),
        ([{"item_id": 1, "tierset": {"pricemodel": "?"}}], "Missing or invalid parameter."),
        ([{"item_id": 1, "external_key": "k"}] * 2, "external_key value"),
    ],
)
def test_a_bad_line_refuses_the_whole_subscription(account, lines, message):
    """Nothing is stored, no line either."""
    customer_id = account.customer()
    account.item()
    payload = {"customer_id": customer_id, "line_items": [{"item_id": 1}, *lines]}
    assert message in account.refused("POST", "/package", payload)
    assert account.ok("GET", "/package/_count") == 0


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"nickname": "x"}, "A required parameter was missing: customer_id."),
        ({"customer_id": 1, "paycycle": "evy"}, "Missing or invalid parameter."),
        ({"customer_id": 1, "paymethod": "gold"}, "Missing or invalid parameter."),
        ({"customer_id": 1, "paymethod": "any"}, "no payment method on file"),
        ({"customer_id": 1, "coupon": "NONE"}, "There is no coupon"),
        ({"customer_id": 1, "terms_id": 99}, "There is no terms_id 99"),
        ({"customer_id": 1, "line_items": 5}, "Missing or invalid parameter."),
        ({"customer_id": 1, "line_items": {"item_id": 1}}, "Missing or invalid parameter."),
    ],
)
def test_a_bad_subscription_is_refused(account, payload, message):
    account.customer()
    assert message in account.refused("POST", "/package", payload)


def test_lists_leave_the_lines_out_unless_expanded(account, subscribe):
    """Recording list_packages; page "Querying for subscriptions"."""
    subscribe()
    (plain,) = account.ok("GET", "/package")
    (expanded,) = account.ok("GET", "/package?expand=line_items")
    assert "line_items" not in plain
    assert expanded["line_items"] == account.ok("GET", "/package/554")["line_items"]
    assert account.ok("GET", "/package?expand=nonsense") == [plain]


def test_filters_reach_lines_customer_and_contacts(account, subscribe):
    """All dotted names of the page "Querying for subscriptions"."""
    item_id = account.item(1)
    customer_id = account.customer(superuser_email="a@example.com")
    wanted = subscribe(
        {"item_id": item_id, "external_key": "line/1", "custom_1": "red"},
        customer_id=customer_id,
        external_key="sub",
    )
    account.ok("POST", "/user", {"customer_id": customer_id, "email": "b@example.com"})
    subscribe()
    for where in (
        f"line_items.item_id:EQUALS:{item_id}",
        "line_items.external_key:EQUALS:line/1",
        "line_items.custom_1:EQUALS:red",
        "customer.superuser_email:EQUALS:a@example.com",
        "customer.users.email:EQUALS:b@example.com",
        f"customer_id:EQUALS:{customer_id}",
        "external_key:EQUALS:sub",
    ):
        found = account.ok("GET", f"/package?where={where}")
        assert [record["package_id"] for record in found] == [wanted], where
    assert account.ok("GET", "/package?where=quote.quote_id:EQUALS:1") == []
    assert account.ok("GET", "/package/_count?where=package_status_state:EQUALS:a") == 2


def test_an_update_leaves_what_has_an_action(account, subscribe):
    """Lines, method, cycle and hold have actions; the rest is partial (`update_custom_1`)."""
    id_ = subscribe(nickname="old", custom_1="a")
    before = account.ok("GET", f"/package/{id_}")
    account.wall.advance(minutes=1)
    own = {"custom_1": "b", "terms_id": 3, "tags": ["x"]}
    others = {"paycycle": "yrl", "paymethod": "crd", "line_items": []}
    changes = {**own, **others, "holduntil_datetime": "2030-01-01"}
    account.ok("PUT", f"/package/{id_}", changes)
    after = account.ok("GET", f"/package/{id_}")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"custom_1", "terms_id", "terms_name", "terms_days", "tags", "mod_datetime"}
    message = account("DELETE", f"/package/{id_}")["message"]
    assert message == f"The command requested is not supported: delete(package, {id_})"


# Upgrades.


def test_an_upgrade_replaces_adds_and_drops(account, subscribe):
    """A changed line keeps place and key and gets a new id; others stay (behaviour.md, 13)."""
    one, two, three = (account.item(base, name=f"I{base}") for base in (1, 2, 3))
    id_ = subscribe(
        {"item_id": one, "external_key": "a", "descrip": "first", "custom_1": "c"},
        {"item_id": two},
        {"item_id": three},
    )
    a, b, c = account.ok("GET", f"/package/{id_}")["line_items"]
    account.wall.advance(hours=1)
    price = {"base": "800", "pricemodel": "fla", "paycycle": "mon"}
    entries = [
        {"line_item_external_key": "a", "item_id": two, "tierset": price},
        {"line_item_id": b["line_item_id"], "cancel": True},
        {"item_id": one, "external_key": "new"},
    ]
    assert account.ok("POST", f"/package/{id_}?action=upgrade", {"line_items": entries}) is True
    package = account.ok("GET", f"/package/{id_}")
    replaced, kept, added = package["line_items"]
    assert kept == c
    assert replaced["line_item_id"] > c["line_item_id"]
    assert (replaced["external_key"], replaced["descrip"]) == ("a", "first")
    assert (replaced["custom_1"], replaced["item_id"]) == ("c", two)
    assert replaced["subscribe_datetime"] == "2026-03-01 10:30:00"
    assert (replaced["tierset"]["base"], replaced["tierset"]["base_formatted"]) == (800, "$ 800.00")
    assert replaced["tierset_id"] not in (a["tierset_id"], b["tierset_id"])
    assert (added["item_id"], added["external_key"]) == (one, "new")
    assert added["tierset"] == a["tierset"]
    assert package["mod_datetime"] == "2026-03-01 10:30:00"


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"line_item_id": 99}],
        [{"line_item_id": 554}, {"line_item_id": 554}],
        [{"item_id": 1, "external_key": "other"}],
        [{"line_item_id": 554, "item_id": 99}],
        [{"line_item_id": 554, "cancel": "perhaps"}],
        [{"line_item_id": 555}],
        {"line_item_id": 554},
    ],
)
def test_a_bad_upgrade_changes_nothing(account, subscribe, entries):
    """Also one that names a line twice, or one of another subscription."""
    id_ = subscribe()
    subscribe({"item_id": 1, "external_key": "other"})
    good = {"item_id": 1}
    sent = [good, *entries] if isinstance(entries, list) and entries else entries
    account.refused("POST", f"/package/{id_}?action=upgrade", {"line_items": sent})


def test_a_line_by_key_of_its_item(account, subscribe):
    """``item_external_key`` works in place of ``item_id`` (Salesforce example of the vendor)."""
    account.item(7, external_key="basic")
    id_ = subscribe({"item_external_key": "basic"})
    (line,) = account.ok("GET", f"/package/{id_}")["line_items"]
    assert (line["item_external_key"], line["tierset"]["base"]) == ("basic", 7)


# Spellings.


@pytest.mark.parametrize("form", ["?action={}", "/_action/{}"])
@pytest.mark.parametrize(
    ("name", "payload", "field", "value"),
    [
        ("paycycle", {"paycycle": "yrl"}, "paycycle", "yrl"),
        ("setPayCycle", {"paycycle": "yrl"}, "paycycle", "yrl"),
        ("paymethod", {"paymethod": "inv"}, "paymethod", "inv"),
        ("setPayMethod", {"paymethod": "inv"}, "paymethod", "inv"),
        ("hold", {"holduntil_datetime": "2026-04-01"}, "holduntil_datetime", "2026-04-01 00:00:00"),
        ("suspend", {}, "package_status_str", "suspended-suspended"),
        ("unsuspend", None, "package_status_str", "active-current"),
        ("cancel", {}, "package_status_str", "canceled-manual"),
        ("uncancel", None, "package_status_str", "active-current"),
        ("welcome", {"message_id": 3}, "package_status_str", "active-current"),
        ("invoice", {}, "amount_invoiced", 10),
    ],
)
def test_every_action_in_both_spellings(account, subscribe, form, name, payload, field, value):
    """In the path and in the query, with the old and the new name; none moves mod_datetime."""
    id_ = subscribe()
    account.wall.advance(minutes=1)
    assert account.ok("POST", f"/package/{id_}{form.format(name)}", payload) is True
    package = account.ok("GET", f"/package/{id_}")
    assert package[field] == value
    assert package["mod_datetime"] == package["write_datetime"]
    notes = [
        revision["revision_note"] for revision in account.ok("GET", f"/package/{id_}/_revision")
    ]
    assert notes == [f"Package: {name}", "Package created"]


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("paycycle", {}),
        ("paycycle", {"paycycle": "evy"}),
        ("paymethod", {}),
        ("paymethod", {"paymethod": "any"}),
        ("paymethod", {"paymethod": "crd"}),
        ("paymethod", {"paymethod": "tok"}),
        ("hold", {}),
        ("hold", {"holduntil_datetime": "soon"}),
        ("cancel", {"cancel_date": "never"}),
        ("suspend", {"suspendfrom_datetime": "2026-04-02", "suspendto_datetime": "2026-04-01"}),
        ("invoice", {"date": "soon"}),
        ("unhold", {}),
    ],
)
def test_a_bad_action_changes_nothing(account, subscribe, name, payload):
    account.refused("POST", f"/package/{subscribe()}?action={name}", payload)


# Dates and statuses.


def test_cancel_at_once_and_later(account, subscribe):
    """A date puts it off; the lines stay and there is no next invoice (`cancel_package`)."""
    now, later = subscribe(), subscribe()
    account.ok("POST", f"/package/{now}?action=cancel", {})
    package = account.ok("GET", f"/package/{now}")
    assert (package["cancel_datetime"], package["next_invoice_datetime"]) == (
        "2026-03-01 09:30:00",
        "",
    )
    assert package["package_status_id"] == 5
    assert package["package_status_name"] == "Canceled manually"
    assert package["line_items"][0]["cancel_datetime"] is None
    account.ok("POST", f"/package/{later}/_action/cancel", {"cancel_date": "2026-03-10"})
    assert account.ok("GET", f"/package/{later}")["package_status_state"] == "a"
    account.wall.advance(days=9)
    assert account.ok("GET", f"/package/{later}")["package_status_state"] == "c"
    account.ok("POST", f"/package/{now}?action=cancel", {})
    again = account.ok("GET", f"/package/{now}")
    assert again["cancel_datetime"] == package["cancel_datetime"]


def test_a_suspension_begins_and_ends(account, subscribe):
    id_ = subscribe()
    window = {"suspendfrom_datetime": "2026-03-02", "suspendto_datetime": "2026-03-03"}
    account.ok("POST", f"/package/{id_}?action=suspend", window)
    states = []
    for _ in range(3):
        states.append(account.ok("GET", f"/package/{id_}")["package_status_state"])
        account.wall.advance(days=1)
    assert states == ["a", "s", "a"]


def test_an_overdue_invoice_shows_in_the_subscription(account, subscribe):
    """Amounts and status follow the invoices, and a void one counts nothing (recordings)."""
    id_ = subscribe(terms_id=3)
    account.ok("POST", f"/package/{id_}?action=invoice", {})
    (invoice,) = account.ok("GET", f"/invoice?where=package_id:EQUALS:{id_}")
    account.wall.advance(days=2)
    package = account.ok("GET", f"/package/{id_}")
    assert (package["amount_invoiced"], package["amount_due"]) == (10, 10)
    assert (package["amount_overdue"], package["days_overdue"]) == (10, 2)
    assert package["is_overdue"] is True
    assert (package["package_status_id"], package["package_status_name"]) == (3, "Over Due")
    account.ok("POST", f"/invoice/{invoice['invoice_id']}?action=void", {})
    package = account.ok("GET", f"/package/{id_}")
    assert (package["amount_invoiced"], package["amount_collected"]) == (0, 0)
    assert package["package_status_str"] == "active-current"


def test_trial_and_expiry(account, subscribe):
    """Free days of all lines are a trial; an expiry of all lines ends it."""
    id_ = subscribe({"item_id": account.item(5), "trial_days": 10})
    package = account.ok("GET", f"/package/{id_}")
    assert (package["package_status_str"], package["mrr"]) == ("active-trial", 0)
    account.wall.advance(days=10)
    package = account.ok("GET", f"/package/{id_}")
    assert (package["package_status_str"], package["mrr"]) == ("active-current", 5)
    line = {"item_id": 1, "expire_datetime": "2026-03-05 00:00:00"}
    account.store.seed("package", {"package_id": 900, "line_items": [line]})
    assert account.ok("GET", "/package/900")["package_status_str"] == "expired-expired"


@pytest.mark.parametrize(
    ("day", "cycle", "expected"),
    [
        # Recordings: list_packages, update_custom_package_value, recurring_package_with_credit_card
        ("2015-03-25", "mon", "2015-04-25 00:00:01"),
        ("2015-04-01", "qtr", "2015-07-01 07:27:10"),
        ("2015-03-23", "yrl", "2016-03-22 06:00:01"),
        # UNVERIFIED from here on.
        ("2026-01-31", "mon", "2026-02-28 00:00:01"),
        ("2026-03-01", "116", "2026-03-16 00:00:01"),
        ("2026-03-16", "116", "2026-04-01 00:00:01"),
        ("2026-03-01", "2wk", "2026-03-15 00:00:01"),
        ("2026-03-01", "30d", "2026-03-31 00:00:01"),
        ("2026-11-30", "2mn", "2027-01-30 00:00:01"),
    ],
)
def test_the_next_invoice(day, cycle, expected):
    assert cycles.after(dt.date.fromisoformat(day), cycle) == expected
    if not (cycle == "mon" and day.endswith("31")):  # a short month forgets the day
        assert cycles.before(expected, cycle) == dt.date.fromisoformat(day)


@pytest.mark.parametrize("cycle", cycles.NAMES)
def test_every_cycle_moves_on_and_back(cycle):
    day = dt.date(2026, 3, 1)
    assert cycles.before(cycles.after(day, cycle), cycle) == day
    assert cycles.after(day, cycle) > cycles.first_second(day)
    assert cycles.per_year(cycle) > 0


def test_the_next_invoice_follows_cycle_hold_and_invoice(account, subscribe):
    """What recordings show for one action each, in a row."""
    id_ = subscribe(holduntil_datetime="2026-03-20")

    def due():
        return account.ok("GET", f"/package/{id_}")["next_invoice_datetime"]

    assert due() == "2026-03-20 00:00:00"
    account.ok("POST", f"/package/{id_}?action=paycycle", {"paycycle": "qtr"})
    assert due() == "2026-03-20 00:00:00"  # never invoiced, so no cycle has begun
    account.ok("POST", f"/package/{id_}?action=invoice", {"date": "NEXT_SCHEDULED_INVOICE"})
    assert account.ok("GET", "/invoice/10000")["date"] == "2026-03-20"
    assert due() == "2026-06-19 07:27:10"
    account.ok("POST", f"/package/{id_}?action=paycycle", {"paycycle": "mon"})
    assert due() == "2026-04-20 00:00:01"
    account.ok("POST", f"/package/{id_}?action=hold", {"holduntil_datetime": "2026-05-01"})
    assert due() == "2026-05-01 00:00:00"
    account.ok("POST", f"/package/{id_}?action=cancel", {})
    assert due() == ""
    assert "not active" in account.refused("POST", f"/package/{id_}?action=invoice", {})
    account.ok("POST", f"/package/{id_}/_action/uncancel")
    assert due() == "2026-04-20 00:00:01"


def test_the_far_end_of_time_is_refused(account, subscribe):
    id_ = subscribe(paycycle="10y")
    account.refused("POST", f"/package/{id_}?action=invoice", {"date": "9999-12-31"})


# Invoices of subscriptions.


def test_an_invoice_repeats_a_price_through_the_cycle(account, subscribe):
    """A monthly price stands three times on a quarter's invoice (`create_and_apply_payment`)."""
    item_id = account.item(0, name="Plan", external_key="plan", description="text")
    price = {"base": 1500, "paycycle": "mon", "pricemodel": "fla"}
    line = {"item_id": item_id, "tierset": price, "custom_1": "c"}
    id_ = subscribe(line, paycycle="qtr", bill_city="Burlington", terms_id=2)
    account.ok("POST", f"/package/{id_}?action=invoice", {})
    invoice = account.ok("GET", "/invoice/10000")
    assert (invoice["total"], invoice["sum_base"], invoice["sum_onetime"]) == (4500, 4500, 0)
    assert (invoice["package_id"], invoice["bill_city"]) == (id_, "Burlington")
    assert (invoice["date"], invoice["due_date"]) == ("2026-03-01", "2026-03-31")
    assert len(invoice["line_items"]) == 3
    (own,) = account.ok("GET", f"/package/{id_}")["line_items"]
    for line in invoice["line_items"]:
        assert line["package_line_id"] == own["line_item_id"]
        assert (line["tierset_id"], line["item_external_key"]) == (own["tierset_id"], "plan")
        assert (line["line_rate"], line["line_quantity"], line["custom_1"]) == (1500, 1, "c")
        flags = {name for name in line if name.startswith("is_") and line[name] is True}
        assert flags == {"is_base", "is_recurring"}
    assert len({line["line_item_id"] for line in invoice["line_items"]}) == 3
    payment = {"customer_id": 1, "amount": 4500, "gateway_method": "check", "gateway_status": 1}
    applied = {"transaction_type": "pay", "applied_to": [{"invoice_id": 10000}]}
    account.ok("POST", "/transaction", payment | applied)
    assert account.ok("GET", f"/package/{id_}")["amount_collected"] == 4500


def test_set_up_is_charged_once_and_a_trial_not_at_all(account, subscribe):
    price = {"base": 5, "setup": 20}
    trial = {"item_id": account.item(9), "trial_days": 5}
    id_ = subscribe({"item_id": account.item(1), "tierset": price}, trial)
    totals = []
    for _ in range(2):
        account.ok("POST", f"/package/{id_}?action=invoice", {})
        totals.append(account.ok("GET", f"/package/{id_}")["amount_invoiced"])
        account.wall.advance(days=5)
    assert totals == [25, 39]
    lines = account.ok("GET", "/invoice/10000")["line_items"]
    assert [line["is_setup"] for line in lines] == [True, False, False]
    assert [line["is_free"] for line in lines] == [False, False, True]


BANDS = [
    {"unit_from": 1, "unit_to": 10, "amount": 5},
    {"unit_from": 11, "unit_to": 9999, "amount": 3},
]


@pytest.mark.parametrize(
    ("model", "units", "expected"),
    [
        ("fla", 12, []),
        ("uni", 12, [(3, 12)]),
        ("vol", 10, [(5, 10)]),
        ("vol", 20000, [(3, 20000)]),
        ("tie", 12, [(5, 10), (3, 2)]),
        ("tie", 4, [(5, 4)]),
        ("pas", 12, [(12, 1)]),
        ("uni", 0, []),
    ],
)
def test_price_models(model, units, expected):
    tierset = take({"pricemodel": model, "tiers": BANDS})
    assert list(charges(tierset, Decimal(units))) == expected


def test_recurring_amounts_add_up_in_the_customer(account, subscribe):
    """``mrr`` and ``arr`` of active subscriptions, by cycle and quantity."""
    customer_id = account.customer()
    account.item(10)
    tiered = {"base": 1, "pricemodel": "tie", "tiers": BANDS}
    monthly = subscribe({"item_id": 1, "line_quantity": 3}, customer_id=customer_id)
    yearly = subscribe(
        {"item_id": 1, "tierset": {**tiered, "paycycle": "evy"}, "line_quantity": 12},
        customer_id=customer_id,
        paycycle="yrl",
    )
    shown = {id_: account.ok("GET", f"/package/{id_}") for id_ in (monthly, yearly)}
    assert (shown[monthly]["mrr"], shown[monthly]["arr"]) == (30, 360)
    assert (shown[yearly]["mrr"], shown[yearly]["arr"]) == (Decimal("4.75"), 57)
    customer = account.ok("GET", f"/customer/{customer_id}")
    assert (customer["mrr"], customer["arr"]) == (Decimal("34.75"), 417)
    account.ok("POST", f"/package/{yearly}?action=suspend", {})
    account.ok("POST", f"/package/{monthly}?action=cancel", {})
    customer = account.ok("GET", f"/customer/{customer_id}")
    assert (customer["mrr"], customer["arr"]) == (0, 0)


def test_given_amounts_stand_until_something_moves(account, subscribe):
    """A seed's totals are shown as given; an invoice, payment or upgrade makes them stale."""
    account.item(10)
    account.store.seed("customer", {"customer_id": 5, "mrr": 7, "arr": 8})
    line = {"line_item_id": 700, "item_id": 1}
    seeded = {"package_id": 600, "customer_id": 5, "amount_invoiced": 99, "mrr": 3}
    account.store.seed("package", {**seeded, "line_items": [line]})
    account.store.seed("customer", {"customer_id": 5, "mrr": 7, "arr": 8})
    package = account.ok("GET", "/package/600")
    assert (package["amount_invoiced"], package["mrr"]) == (99, 3)
    assert package["line_items"][0]["tierset"]["base"] == 10
    assert account.ok("GET", "/customer/5")["mrr"] == 7
    account.ok("PUT", "/package/600", {"nickname": "x"})
    assert account.ok("GET", "/package/600")["amount_invoiced"] == 99
    account.ok("POST", "/package/600?action=upgrade", {"line_items": [{"item_id": 1}]})
    assert account.ok("GET", "/customer/5")["mrr"] == 20
    account.ok("POST", "/package/600?action=invoice", {})
    assert account.ok("GET", "/package/600")["amount_invoiced"] == 20
    assert account.ok("POST", "/package", {"customer_id": 5})["id"] == 601
    assert account.ok("GET", "/package/601")["line_items"] == []


def test_a_seed_again_replaces_the_lines(account):
    account.item(1)
    for ids in ((700, 701), (702,)):
        lines = [{"line_item_id": id_, "item_id": 1, "external_key": f"k{id_}"} for id_ in ids]
        account.store.seed("package", {"package_id": 600, "line_items": lines})
        shown = account.ok("GET", "/package/600")["line_items"]
        assert [line["line_item_id"] for line in shown] == list(ids)


def test_a_customer_with_an_active_subscription_stays(account, subscribe):
    """Vendor's text, "Delete a customer"."""
    customer_id = account.customer()
    id_ = subscribe(customer_id=customer_id)
    assert "active subscriptions" in account.refused("DELETE", f"/customer/{customer_id}")
    account.ok("POST", f"/package/{id_}?action=cancel", {})
    assert account.ok("DELETE", f"/customer/{customer_id}") is True


def test_a_coupon_adds_its_discount(account):
    """By its code, if it is enabled (PHP example of the vendor)."""
    account.item(10)
    account.item(-2, name="Discount", type="discount")
    account.store.seed("coupon", {"coupon_id": 1, "code": "SPRING", "discount_item_id": 2})
    account.store.seed("coupon", {"coupon_id": 2, "code": "OLD", "enabled": False})
    payload = {"customer_id": account.customer(), "line_items": [{"item_id": 1}]}
    id_ = account.ok("POST", "/package", {**payload, "coupon": "SPRING"})["id"]
    lines = account.ok("GET", f"/package/{id_}")["line_items"]
    assert [line["item_id"] for line in lines] == [1, 2]
    assert "no coupon" in account.refused("POST", "/package", {**payload, "coupon": "OLD"})


def test_datetimes_of_lines_follow_the_switch(make_account):
    """ISO 8601 with offset, in nested lines and prices as well; no date stays no date."""
    account = make_account(iso_datetimes=True)
    account.item(1)
    id_ = account.ok(
        "POST", "/package", {"customer_id": account.customer(), "line_items": [{"item_id": 1}]}
    )["id"]
    account.ok("POST", f"/package/{id_}?action=cancel", {})
    package = account.ok("GET", f"/package/{id_}")
    assert package["next_invoice_datetime"] == ""
    line = package["line_items"][0]
    assert line["subscribe_datetime"] == "2026-03-01T09:30:00+00:00"
    assert line["tierset"]["write_datetime"] == "2026-03-01T09:30:00+00:00"


@pytest.mark.parametrize(
    ("string", "state"), [("canceled-nonpayment", "c"), ("expired-trial", "e"), ("other", "a")]
)
def test_a_seeded_status_brings_its_state(account, string, state):
    """And no subscription that has ended recurs; an action has the status derived again."""
    account.item(10)
    lines = [{"item_id": 1}]
    record = {"package_id": 600, "package_status_str": string, "line_items": lines}
    account.store.seed("package", record)
    package = account.ok("GET", "/package/600")
    assert (package["package_status_str"], package["package_status_state"]) == (string, state)
    assert package["mrr"] == (10 if state == "a" else 0)
    account.ok("POST", "/package/600?action=unsuspend")
    assert account.ok("GET", "/package/600")["package_status_str"] == "active-current"


def test_a_list_by_status_follows_the_clock(account, subscribe):
    """Within a day and without any request in between, nothing stale is counted."""
    id_ = subscribe()
    account.ok(
        "POST", f"/package/{id_}?action=suspend", {"suspendto_datetime": "2026-03-01 12:00:00"}
    )
    for hours, (active, recurring) in ((0, (0, 0)), (3, (1, 1))):
        account.wall.advance(hours=hours)
        assert account.ok("GET", "/package/_count?where=package_status_state:EQUALS:a") == active
        assert account.ok("GET", "/package/_count?where=mrr:GT:0") == recurring
        assert account.ok("GET", "/customer/_count?where=arr:GT:0") == recurring


# How it is paid.


@pytest.fixture
def cards(account):
    """A customer with two cards and a bank account; another customer's card is number 3."""
    for customer_id in (account.customer(), account.customer()):
        for number in ("4111111111111111", "5555555555554444")[: 3 - customer_id]:
            card = {"customer_id": customer_id, "number": number, "expdate": "2030-01-01"}
            account.ok("POST", "/creditcard", card)
    bank = {"customer_id": 1, "number": "1234567890", "routing": "072403004", "type": "chec"}
    account.ok("POST", "/ach", bank)
    return account


def methods(account, id_):
    package = account.ok("GET", f"/package/{id_}")
    return tuple(package[name] for name in ("paymethod", "creditcard_id", "ach_id", "tokenized_id"))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, ("inv", None, None, None)),
        ({"creditcard_id": 1}, ("crd", 1, None, None)),
        ({"ach_id": 1}, ("ach", None, 1, None)),
        ({"paymethod": "crd"}, ("crd", 2, None, None)),
        ({"paymethod": "ach"}, ("ach", None, 1, None)),
        ({"paymethod": "any"}, ("crd", 2, None, None)),
        ({"paymethod": "inv"}, ("inv", None, None, None)),
    ],
)
def test_naming_a_method_is_enough(cards, sent, expected):
    """Page "Create a subscription": an id sets the method, a kind means what is on file."""
    id_ = cards.ok("POST", "/package", {"customer_id": 1, **sent})["id"]
    assert methods(cards, id_) == expected


def test_the_method_is_changed_and_cleared(cards):
    """Recording update_package_payment_method: "inv" makes creditcard_id null."""
    id_ = cards.ok("POST", "/package", {"customer_id": 1})["id"]
    path = f"/package/{id_}?action=paymethod"
    cards.ok("POST", path, {"paymethod": "crd", "creditcard_id": 2})
    package = cards.ok("GET", f"/package/{id_}")
    card = cards.ok("GET", "/creditcard/2")
    assert (package["paymethod_name"], package["paymethod_detail"]) == (
        "Credit Card",
        card["mask_number"],
    )
    cards.ok("POST", path, {"paymethod": "ach", "ach_id": 1})
    assert methods(cards, id_) == ("ach", None, 1, None)
    cards.ok("POST", path, {"paymethod": "inv"})
    assert methods(cards, id_) == ("inv", None, None, None)
    foreign = {"paymethod": "crd", "creditcard_id": 3}
    assert "not one of customer 1" in cards.refused("POST", path, foreign)
    payload = {"customer_id": 1, "creditcard_id": 3}
    assert "not one of customer 1" in cards.refused("POST", "/package", payload)
    message = cards.refused("POST", path, {"paymethod": "tok"})
    assert message == "A required parameter was missing: tokenized_id."


@pytest.mark.parametrize(("also", "expected"), [(None, "crd"), (True, "crd"), (False, "inv")])
def test_subscriptions_follow_the_customers_method(cards, also, expected):
    """Vendor's text: existing ones too, unless the flag says no; not those that have ended."""
    ids = [cards.ok("POST", "/package", {"customer_id": 1})["id"] for _ in range(2)]
    cards.ok("POST", f"/package/{ids[1]}?action=cancel", {})
    payload = {"creditcard_id": 1, "update_subscriptions_and_scheduled_invoices": also}
    cards.ok("POST", "/customer/1/_action/setPayMethod", payload)
    assert [methods(cards, id_)[0] for id_ in ids] == [expected, "inv"]
    new = cards.ok("POST", "/package", {"customer_id": 1, "paymethod": "any"})["id"]
    assert methods(cards, new) == ("crd", 1, None, None)


# Events.


def test_hooks_are_told_what_happens_to_a_subscription(account, subscribe):
    """Every event of the page "Webhooks" that subscriptions have."""
    names = ("insert", "update", "status", "paycycle", "hold", "upgrade")
    for event in (*(f"package.{name}" for name in names), "invoice.insert"):
        account.ok("POST", "/_resthook", {"target_url": "http://127.0.0.1:9/", "event": event})
    id_ = subscribe()
    account.ok("PUT", f"/package/{id_}", {"nickname": "x"})
    for name, payload in (
        ("suspend", {}),
        ("suspend", {}),
        ("unsuspend", {}),
        ("paycycle", {"paycycle": "yrl"}),
        ("hold", {"holduntil_datetime": "2026-05-01"}),
        ("upgrade", {"line_items": [{"item_id": 1}]}),
        ("invoice", {}),
        ("cancel", {}),
    ):
        account.ok("POST", f"/package/{id_}?action={name}", payload)
    told = [delivery["event"] for delivery in account.store.records("_delivery")]
    assert told == [
        *("package.insert", "package.update", "package.status", "package.status"),
        *("package.paycycle", "package.hold", "package.upgrade", "invoice.insert"),
        "package.status",
    ]


def test_a_bulk_builds_a_subscription_from_nothing(account):
    """References reach the customer, and the item inside of a line."""
    price = {"base": 5, "paycycle": "mon"}
    lines = [{"item_jsonpath": "i:$.response.id"}]
    answers = account.bulk(
        [
            {
                "request_method": "POST",
                "uri": "/api/v3/customer",
                "payload": {"company": "A"},
                "id": "c",
            },
            {
                "request_method": "POST",
                "uri": "/api/v3/item",
                "payload": {"name": "Plan", "pricemodel": price},
                "id": "i",
            },
            {
                "request_method": "POST",
                "uri": "/api/v3/package",
                "payload": {"customer_jsonpath": "c:$.response.id", "line_items": lines},
            },
            {"request_method": "POST", "uri": "/api/v3/package/554?action=cancel", "payload": {}},
        ]
    )
    assert [answer["code"] for answer in answers] == [201, 201, 201, 200]
    assert account.ok("GET", "/package/554")["line_items"][0]["item_name"] == "Plan"
