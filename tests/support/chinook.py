"""The plan that imports the Chinook music shop, which lies beside the checkout."""

from __future__ import annotations

from support.places import SHARED

DATA = SHARED / "data" / "chinook"

PLAN = f"""
[[load]]
object = "customer"
file = '{DATA}/customers.csv'
[load.fields]
external_key = "chinook-{{CustomerId}}"
company = ["{{Company}}", "{{FirstName}} {{LastName}}"]
superuser_first_name = "{{FirstName}}"
superuser_last_name = "{{LastName}}"
superuser_email = "{{Email}}"
superuser_phone = "{{Phone}}"
bill_addr1 = "{{Address}}"
bill_city = "{{City}}"
bill_state = "{{State}}"
bill_postcode = "{{PostalCode}}"
bill_country = "{{Country}}"

[[load]]
object = "item"
file = '{DATA}/tracks.csv'
[load.fields]
external_key = "chinook-track-{{TrackId}}"
name = "{{Name}}"
pricemodel = {{ base = "{{UnitPrice}}" }}

[[load]]
object = "invoice"
file = '{DATA}/invoices.csv'
[load.fields]
external_key = "chinook-invoice-{{InvoiceId}}"
customer_external_key = "chinook-{{CustomerId}}"
date = "{{InvoiceDate}}"
bill_addr1 = "{{BillingAddress}}"
bill_city = "{{BillingCity}}"
bill_postcode = "{{BillingPostalCode}}"
bill_country = "{{BillingCountry}}"
[load.children.line_items]
file = '{DATA}/invoice_lines.csv'
match = {{ InvoiceId = "InvoiceId" }}
[load.children.line_items.fields]
item_external_key = "chinook-track-{{TrackId}}"
line_rate = "{{UnitPrice}}"
line_quantity = "{{Quantity}}"
"""

__all__ = ("DATA", "PLAN")
