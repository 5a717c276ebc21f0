"""Makes the example data: a small shop that sells tea and coffee. Seeded, so always the same.

    python examples/shop/make.py

writes customers.csv, items.jsonl, invoices.csv and lines.csv beside this file. The awkward values
are on purpose: they are what real exports look like.
"""

from __future__ import annotations

import csv
import json
import random
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SEED = 20260401
CUSTOMERS = 300
ITEMS = 60
INVOICES = 400

FIRST = [
    "Anna", "Jürgen", "Łukasz", "Siân", "Zoë", "Renée", "Þóra", "Ngọc", "İpek", "Иван", "Ольга",
    "Γιώργος", "דנה", "ليلى", "美咲", "浩然", "지우", "Mary Ann", "D'Arcy", "José",
]  # fmt: skip
LAST = [
    "O'Neill", "Müller", "Ødegård", "Wójcik", "Núñez", "Çelik", "Сидорова", "Παππάς", "לוי",
    "حداد", "佐藤", "王", "김", "van der Berg", "Smith-Jones", "Nguyễn", "Ek",
]  # fmt: skip
FIRMS = [
    "Tea & Sons", 'The "Blue" Kettle', "Cups, Pots, and Pans", "Кофейня на углу", "京都茶房",
    "Café Crème\nRear entrance", "Brew; Sip | Repeat", "100% Arabica", "Leaf\\Root", "☕ Corner 🫖",
    "Añejo Ltd.", "  Spaced Out  ", "=SUM(A1)", "NULL", "Ümlaut GmbH & Co. KG", "{Braces} Inc.",
]  # fmt: skip
CITIES = [
    ("Zürich", "", "8001", "Switzerland"), ("Boston", "MA", "02108", "USA"),
    ("Storrs", "CT", "06269", "USA"), ("Kraków", "", "31-042", "Poland"),
    ("Dresden", "Sachsen", "01067", "Germany"), ("東京", "", "100-0001", "Japan"),
    ("Београд", "", "11000", "Serbia"), ("São Paulo", "SP", "01310-100", "Brazil"),
    ("St. John's", "NL", "A1C 5S7", "Canada"), ("", "", "", ""),
]  # fmt: skip
# Characters that mean something in URLs, filters, CSV or templates; a key may hold them all.
ODD_KEYS = ["a/b", "c:d", "e,f", "g\\h", "i#j", "k?l=m", "n%20o", "p q", "r&s", "t+u", "Ü-1", "{v}"]
TEAS = ["Assam", "Sencha", "龙井", "Darjeeling", "Rooibos", "Yerba Mate", "Кения", "Moka", "Crema"]
NOTES = ["", "", 'gift, "wrapped"', "für Ольга", "line one\nline two"]
SPECIAL_PRICES = {0: Decimal(0), 1: Decimal("0.01"), 2: Decimal("1234.5")}
SIZES = ["50 g", "100 g", "½ lb", '8" tin', "sample, free", "1 kg"]


def customers(rng: random.Random) -> list[dict[str, str]]:
    """Customers; some are persons without a firm, some lack an address, a phone or an e-mail."""
    rows: list[dict[str, str]] = []
    for number in range(1, CUSTOMERS + 1):
        first, last = rng.choice(FIRST), rng.choice(LAST)
        city, state, postcode, country = rng.choice(CITIES)
        odd = ODD_KEYS[number // 25 - 1] if number % 25 == 0 else ""
        rows.append(
            {
                "Account": odd or f"{number:05d}",
                "Firm": rng.choice(FIRMS) if rng.random() < 0.6 else "",
                "First": first,
                "Last": "" if rng.random() < 0.1 else last,
                "Email": "" if rng.random() < 0.1 else f"buyer.{number}@example.org",
                "Phone": rng.choice(["", "+44 20 7946 0958", "(860) 555-0199 x12", "0171 / 12345"]),
                "Street": f'{rng.randint(1, 99)} High St., "Flat {rng.randint(1, 9)}"'
                if city
                else "",
                "City": city,
                "State": state,
                "Postcode": postcode,
                "Country": country,
                "TaxFree": rng.choice(["yes", "no", "", "0", "1", "TRUE"]),
                "Tag1": rng.choice(["wholesale", "retail", ""]),
                "Tag2": rng.choice(["newsletter", "", "", "Stammkunde, alt"]),
            }
        )
    return rows


def items(rng: random.Random) -> list[dict[str, Any]]:
    """Items, with prices from zero to four figures, some as JSON numbers and some as text."""
    rows: list[dict[str, Any]] = []
    for number in range(1, ITEMS + 1):
        price = SPECIAL_PRICES.get(number % 20, Decimal(rng.randint(50, 9999)) / 100)
        row: dict[str, Any] = {
            "sku": f"TEA/{number:03d}" if number % 10 else f"café {number}%",
            "name": f"{rng.choice(TEAS)}, {rng.choice(SIZES)}",
            "price": str(price) if number % 2 else float(price),
            "sold": number % 13 != 0,
        }
        if number % 3:
            row["text"] = f"Batch {number}:\n\t“fresh” & <good> \\ {rng.choice(TEAS)} 🍃"
        elif number % 2:
            row["text"] = None
        rows.append(row)
    return rows


def invoices(
    rng: random.Random, buyers: list[dict[str, str]], goods: list[dict[str, Any]]
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Invoices and their lines; quantities may be fractions, totals are to the cent."""
    heads: list[dict[str, str]] = []
    lines: list[dict[str, str]] = []
    for number in range(1, INVOICES + 1):
        day = date(2025, 1, 1) + timedelta(days=rng.randint(0, 450))
        total = Decimal(0)
        for _ in range(rng.choice([1, 1, 2, 2, 3, 3, 4, 4])):
            good = rng.choice(goods)
            rate = Decimal(str(good["price"]))
            quantity = Decimal(rng.choice(["1", "2", "3", "0", "12", "1.5", "0.25"]))
            if rate * quantity != (rate * quantity).quantize(Decimal("0.01")):
                quantity = Decimal(int(quantity) + 1)
            total += rate * quantity
            lines.append(
                {
                    "Invoice": f"R-{number:04d}",
                    "Sku": good["sku"],
                    "Rate": str(rate),
                    "Quantity": str(quantity),
                    "Note": rng.choice(
                        ["", "", 'gift, "wrapped"', "für Ольга", "line one\nline two"]
                    ),
                }
            )
        heads.append(
            {
                "Number": f"R-{number:04d}",
                "Account": rng.choice(buyers)["Account"],
                # The old system wrote some dates with a time that means nothing.
                "Date": day.isoformat() if number % 3 else f"{day.isoformat()} 00:00:00",
                "Memo": rng.choice(["", "", "Danke; спасибо; 谢谢", 'see page 2, "terms"\n-- Zoë']),
                "Total": str(total.quantize(Decimal("0.01"))),
            }
        )
    rng.shuffle(lines)  # children need not be sorted by their parents
    return heads, lines


def write_csv(path: Path, rows: list[dict[str, str]], **options: Any) -> None:
    """Write rows with a header, as UTF-8, lines ended by LF."""
    with path.open("w", encoding=options.pop("encoding", "utf-8"), newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n", **options)
        writer.writeheader()
        writer.writerows(rows)


def main(folder: Path = HERE) -> None:
    """Write the four files."""
    rng = random.Random(SEED)  # noqa: S311 - example data
    buyers = customers(rng)
    goods = items(rng)
    heads, lines = invoices(rng, buyers, goods)
    # As a spreadsheet program of a certain country would export it: BOM and semicolons.
    write_csv(folder / "customers.csv", buyers, encoding="utf-8-sig", delimiter=";")
    write_csv(folder / "invoices.csv", heads)
    write_csv(folder / "lines.csv", lines)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in goods)
    (folder / "items.jsonl").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
