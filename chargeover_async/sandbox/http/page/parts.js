// Elements out of values. Every value becomes a text node; nothing here makes HTML of a string.

const PLANE = "/_sandbox/";

/** What the sandbox told us: what stays, records by object, names of customers by id. */
export const known = { about: null, counts: {}, customers: {} };

export const id = (name) => document.getElementById(name);

/** An element with properties and children; strings become text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "scope" || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/** A number that a double cannot hold stays as it was written. */
const exact = (_name, value, context) => (typeof value === "number" && context?.source
  && String(value) !== context.source ? context.source : value);

/** JSON of the control plane; an error it explains is thrown with its text. */
export async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(PLANE + path, options);
  const content = JSON.parse(await answer.text(), path.startsWith("records/") ? exact : undefined);
  if (!answer.ok) throw new Error(content.error || content.message || `HTTP ${answer.status}`);
  return content;
}

export const linkTo = (object, record) =>
  `#/${encodeURIComponent(object)}${record === undefined ? "" : `/${encodeURIComponent(record)}`}`;

// What people look for, whatever the object: these fields come first, in this order.

const NAMES = [
  "company", "name", "item_name", "nickname", "transaction_type_name", "code", "note", "currency",
  "brand", "language", "class_name", "campaign", "event",
];
const QUANTITIES = ["line_quantity", "usage_value"];
const AMOUNTS = ["line_rate", "base", "total", "amount", "balance", "mrr", "amount_due", "unapplied"];
const MONEY = [
  ...AMOUNTS, "applied", "paid", "payments", "credits", "subtotal", "taxes", "writeoffs", "arr",
  "amount_collected", "amount_invoiced", "amount_overdue", "fee", "setup", "sum_base",
  "sum_onetime", "sum_usage",
];
const STATES = ["customer", "package", "invoice", "transaction", "quote"].map(
  (object) => `${object}_status_name`);
const FACTS = [
  ...NAMES, "descrip", "refnumber", "customer_id", "superuser_name", "email",
  "type_name", "mask_number", "paycycle_name", "date", "transaction_date", "due_date",
  "validuntil_date", "next_invoice_datetime", "note_datetime", "from", "to", "expdate",
  ...QUANTITIES, ...AMOUNTS, "tierset", ...STATES, "external_key",
  "superuser_email",
];

export const isEmpty = (value) => value === null || value === undefined || value === "";
const isNested = (value) => typeof value === "object" && value !== null;
/** Whether a value fits into a line: text, a number or a flag. */
export const says = (value) => !isEmpty(value) && !isNested(value);
/** Whether a value needs a table: it is neither in one line nor a list of such values. */
export const hasParts = (value) => isNested(value)
  && (Array.isArray(value) ? value.some(isNested) : Object.keys(value).length > 0);

/** These names, the main facts first. */
export function factsFirst(names) {
  const place = (name) => (FACTS.includes(name) ? FACTS.indexOf(name) : FACTS.length);
  return [...names].sort((one, other) => place(one) - place(other));
}

/** The main facts that a record has. */
export const factsOf = (record) => FACTS.filter((name) => says(record[name]));

/** The field that a record is called by, if it has one. */
export const nameIn = (record) => NAMES.find((name) => says(record[name]));

/** A main fact as people read it: a customer by name, an amount with its cents, a status. */
export function factOf(name, record) {
  const value = record[name];
  if (name === "customer_id" && Object.hasOwn(known.customers, value)) {
    const customer = known.customers[value] || value;
    return make("span", {}, make("a", { href: linkTo("customer", value) }, customer), " ",
      make("span", { className: "quiet" }, value));
  }
  if (MONEY.includes(name) && says(value)) {
    return String(value).replace(/^(-?\d+)(?:\.(\d))?$/,
      (_all, whole, tenth = "0") => `${whole}.${tenth}0`);
  }
  if (STATES.includes(name) && says(value)) {
    const text = String(record[name.replace(/_name$/, "_str")]);
    const kind = /overdue|nonpayment|failed|lost/.test(text) ? "bad"
      : /^(active|ok)-|-(paid|won)$/.test(text) ? "good" : "quiet";
    return make("span", { className: `state ${kind}` }, value);
  }
  return valueOf(name, value);
}

/** A value as text, as a link where it is the id of a record, or its parts as a table. */
export function valueOf(name, value, depth = 0) {
  if (isEmpty(value)) return "";
  if (!isNested(value)) {
    const object = known.about.objects.find((each) => each.key === name);
    return object && known.counts[object.name]
      ? make("a", { href: linkTo(object.name, value) }, value) : String(value);
  }
  if (!hasParts(value)) {
    const texts = Object.values(value).map((part) =>
      (typeof part === "string" ? part : JSON.stringify(part)));
    return texts.join(", ") || JSON.stringify(value);
  }
  const table = tableOf(name, value, depth);
  if (depth === 0) return table;
  return make("details", {}, make("summary", {}, summaryOf(value)), table);
}

/** What a folded part says of itself: its main facts, or what it is. */
function summaryOf(value) {
  if (Array.isArray(value)) return `list of ${value.length}`;
  const facts = factsOf(value).slice(0, 2).map((name) => `${name} ${value[name]}`);
  return facts.join(", ") || Object.keys(value).slice(0, 3).join(", ");
}

/** The parts of a value: a row for each record of a list, or for each field of one record. */
function tableOf(name, value, depth) {
  if (!Array.isArray(value)) {
    return make("table", { className: "pairs" }, make("tbody", {}, ...factsFirst(Object.keys(value))
      .map((field) => make("tr", {}, make("th", { scope: "row" }, field),
        make("td", {}, valueOf(field, value[field], depth + 1))))));
  }
  if (!value.every((part) => isNested(part) && !Array.isArray(part))) {
    return make("ol", {}, ...value.map((part) => make("li", {}, valueOf(name, part, depth + 1))));
  }
  const fields = factsFirst(new Set(value.flatMap(Object.keys)));
  const empty = fields.filter((field) => value.every((part) => isEmpty(part[field])));
  const table = make("table");
  fillTable(table, fields.filter((field) => !empty.includes(field)), value, (field, part) =>
    (isNested(part[field]) ? valueOf(field, part[field], depth + 1) : factOf(field, part)));
  return make("div", {}, table, make("p", { className: "quiet" }, emptyText(empty)));
}

export const emptyText = (names) => (names.length ? `Empty: ${names.join(", ")}` : "");

/** A name that may go on in another line behind each underscore. */
const breakable = (name) => name.split(/(?<=_)/).flatMap((part) => [part, make("wbr")]);

/** Columns of these names, a row for each record; `cellOf` says what stands in a cell. */
export function fillTable(table, names, records, cellOf) {
  const numbers = [...QUANTITIES, ...MONEY];
  const cell = (name) => ({ className: numbers.includes(name) ? "number" : "" });
  table.replaceChildren(
    make("thead", {}, make("tr", {}, ...names.map((name) =>
      make("th", { scope: "col", ...cell(name) }, ...breakable(name))))),
    make("tbody", {}, ...records.map((record) => make("tr", {}, ...names.map((name) =>
      make("td", { ...cell(name), title: says(record[name]) ? String(record[name]) : "" },
        cellOf(name, record)))))));
}
