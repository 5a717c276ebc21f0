"""A local server that behaves as ChargeOver's REST API v3 is documented and recorded to.

::

    async with Sandbox() as sandbox:
        co = ChargeOver(sandbox.url, sandbox.username, sandbox.password)

It has all objects of the vendor's pages: customers, users, items, invoices, transactions, stored
pay methods, subscriptions (``package``), usage, quotes, notes, coupons, item categories, custom
fields, REST hooks that really post, reports, aggregates and the lists of an account. And queries
with ``where``, ``order``, ``limit``, ``offset`` and ``expand``; ``_count`` and ``_revision``;
external keys and tokens; actions on records and collections in both spellings; ``_bulk`` with
JSONPath; the request quota; and faults on demand (`Faults`). `Variant` switches the behaviours that
no source shows. Every fact in the code names its source; what has none is marked UNVERIFIED.

Records live in memory, or in a file that survives the end of the process: ``Sandbox(path=...)``.

A control plane under ``/_sandbox/`` needs no credentials: ``POST reset``, ``POST seed``
(``{"customer": [...]}``), ``POST snapshot`` and ``POST restore`` (``{"name": "before"}``; without a
name the answer holds the snapshot), ``POST faults`` (``{"script": [...], "rates": {...}}``),
``GET state``, ``GET log``, ``GET webhooks``. `Sandbox` can begin with records from files
(``seeds``). It shares no code with the client but the field names of the models.

The root (``sandbox.page_url``) is a page for a browser: the objects with their records, the log and
the quota live, faults to switch on. It and the control plane answer this machine only: an address,
a Host and an Origin that are not of loopback are refused with 403, so that no web page that you
visit can reach them. The log shows no bodies, and hides the numbers of cards and bank accounts.

What it does not imitate:

- Time: nothing happens by itself. An invoice of a subscription is made by its action ``invoice``
  alone, whatever its ``next_invoice_datetime``; statuses and what is overdue do follow the clock.
- Proration of an upgrade, percentages of a price, free trials of a coupon, a cycle of a line's own.
  Usage that waits for an invoice stays with its line, also when an upgrade replaces that.
- Quotes are accepted and rejected nowhere: their links lead nowhere.
- Taxes, late fees, dunning, e-mail, printing and PDF files. Actions that would send something
  answer true and send nothing; ``store.actions`` counts them.
- Payment: nothing is charged. A card that has expired is declined, and so are the numbers and
  tokens in `objects.money.gateway` (such as 4000000000000002); a decline leaves a failed
  transaction. Scheduled payments are never made, fees are 0. No card or bank number is stored: a
  number that is posted again is told by what its mask shows.
- The actions "set primary contact" and "e-mail" of a customer: no source shows their names.
- The lists of an account (terms, currencies, brands, countries and so on) beyond a few records: a
  seed adds more. An id of an admin, brand, class, campaign or language is accepted unchecked.
- Rates of exchange: it knows those that were set.
- Templates: a description is stored as it is.
- Nodes of ``expand`` but the nested parts of a record.
- Flags (``_flag_*``) are kept in the log; only ``_flag_webhooks=0`` has an effect. Of
  ``on_behalf_*`` the address is kept with what was paid or stored, the rest in the log.
- Webhooks but those that a source shows; the one of an invoice that becomes overdue, as nothing
  happens by itself; encrypted payloads. All hooks share one token, and a host that is not this
  machine is posted to only if it is asked for by name.
- Reports but three, and their formats; what rows of reports and aggregates look like is a guess.
  Requests of ChargeOver.js come from a seed only; what is set through ``_config`` changes nothing.
- Expiry of login links, limits on nonces and clocks of signatures, several accounts, TLS.
- The account's zone is that of ``now``, UTC by default (the vendor's is usually America/Chicago).
"""

from __future__ import annotations

from chargeover_async.sandbox.api.bulk import Outcome
from chargeover_async.sandbox.api.variant import Variant
from chargeover_async.sandbox.http.app import Backend, backend_of, make_app
from chargeover_async.sandbox.http.faults import Fault, Faults
from chargeover_async.sandbox.http.log import LogEntry
from chargeover_async.sandbox.http.quota import Quota, QuotaMeter
from chargeover_async.sandbox.objects.table import new_store
from chargeover_async.sandbox.store.file import StorageError
from chargeover_async.sandbox.store.log import Done
from chargeover_async.sandbox.store.store import Store

from .server import Sandbox, serve

__all__ = (
    "Backend",
    "Done",
    "Fault",
    "Faults",
    "LogEntry",
    "Outcome",
    "Quota",
    "QuotaMeter",
    "Sandbox",
    "StorageError",
    "Store",
    "Variant",
    "backend_of",
    "make_app",
    "new_store",
    "serve",
)
