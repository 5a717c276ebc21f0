"""The shortest true program: a customer and their invoice, in a sandbox of this process.

python examples/quickstart.py
"""

import asyncio
from decimal import Decimal

from chargeover_async import ChargeOver
from chargeover_async.sandbox import Sandbox


async def main() -> None:
    async with (
        Sandbox() as sandbox,  # a real account: ChargeOver.from_env()
        ChargeOver(sandbox.url, sandbox.username, sandbox.password) as co,
    ):
        tea = await co.items.create(name="Tea", external_key="tea")
        acme = await co.customers.create(company="Acme", external_key="acme-1")
        invoice = await co.invoices.create(
            customer_id=acme.id,
            line_items=[{"item_id": tea.id, "line_rate": Decimal("2.95"), "line_quantity": 2}],
        )
        found = await co.invoices.get(invoice.id)
        print(f"invoice {found.invoice_id} of customer {found.customer_id}: {found.total}")


if __name__ == "__main__":
    asyncio.run(main())
