// Where we are, the objects beside it, one object's records, and one record.

import {
  ask, emptyText, factOf, factsFirst, factsOf, fillTable, hasParts, id, isEmpty, known, linkTo,
  make, nameIn, says, valueOf,
} from "./parts.js";

// The objects as people call them; one that is not named here stands under its name among the others.
const FIRST = {
  customer: "Customers", package: "Subscriptions", invoice: "Invoices", transaction: "Payments",
};
const OTHERS = {
  quote: "Quotes", item: "Items", user: "Users", usage: "Usage", note: "Notes",
  creditcard: "Credit cards", ach: "Bank accounts", tokenized: "Tokenized methods",
};
const LISTS = {
  terms: "Terms", currency: "Currencies", brand: "Brands", language: "Languages",
  country: "Countries", class: "Classes", campaign: "Campaigns", admin: "Admins",
  item_category: "Item categories", coupon: "Coupons", _customfield: "Custom fields",
  _resthook: "Webhooks", _chargeoverjs: "ChargeOver.js", _report: "Reports",
  _log_system: "System log",
};
const TITLES = { ...FIRST, ...OTHERS, ...LISTS };
const calledOf = (object) => (Object.hasOwn(TITLES, object) ? TITLES[object] : object);

// "#/", "#/customer?offset=25" or "#/customer/7".

let route = { object: null, id: null, query: new URLSearchParams() };

function readRoute() {
  const hash = location.hash.startsWith("#/") ? location.hash.slice(2) : "";
  const [path, query = ""] = hash.split("?", 2);
  let parts = [];
  try { parts = path.split("/").map(decodeURIComponent); } catch { /* no address of ours */ }
  const [object, record] = parts;
  const is = known.about.objects.some((each) => each.name === object);
  return { object: is ? object : null, id: is && record ? record : null,
           query: new URLSearchParams(query) };
}

const specOf = (object) => known.about.objects.find((each) => each.name === object);

export async function show() {
  route = readRoute();
  id("overview").hidden = route.object !== null;
  id("list").hidden = route.object === null || route.id !== null;
  id("record").hidden = route.id === null;
  document.body.dataset.view = route.object === null ? "overview" : "records";
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.object === (route.object ?? undefined);
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    if (here) link.closest("details")?.setAttribute("open", "");
  }
  const title = route.object === null ? "Overview" : calledOf(route.object);
  document.title = `${title} - ChargeOver sandbox`;
  if (route.id !== null) await showRecord();
  else if (route.object !== null) { fillForm(); await showList(); }
}

// The objects.

export function drawObjects() {
  if (!id("first").childElementCount) {
    const narrow = matchMedia("(max-width: 760px)").matches;
    id("more").open = id("filtering").open = !narrow;
    const names = known.about.objects.map((each) => each.name);
    const others = names.filter((name) => !Object.hasOwn(TITLES, name));
    for (const [place, group] of [["first", Object.keys(FIRST)],
      ["others", [...Object.keys(OTHERS), ...others]], ["lists", Object.keys(LISTS)]]) {
      id(place).append(...group.filter((name) => names.includes(name)).map(objectItem));
    }
  }
  for (const link of document.querySelectorAll("#objects a")) {
    const count = known.counts[link.dataset.object] ?? 0;
    link.lastChild.textContent = count.toLocaleString("en");
    link.classList.toggle("none", count === 0);
  }
}

function objectItem(name) {
  const link = make("a", { href: linkTo(name), title: `${name} in the API` },
    make("span", {}, calledOf(name)), make("span", { className: "count" }));
  link.dataset.object = name;
  return make("li", {}, link);
}

// One object's records.

function fillForm() {
  const form = id("filter").elements;
  const spec = specOf(route.object);
  const options = (select, values) => select.replaceChildren(
    ...values.map(([value, text]) => make("option", { value }, text)));
  options(form.field, factsFirst(spec.filters).map((name) => [name, name]));
  options(form.operation, known.about.operations.flatMap((name) => (name === "IS" || name === "ISNOT"
    ? [[`${name}:NULL`, name === "IS" ? "NULL" : "not NULL"]] : [[name, name]])));
  options(form.order, factsFirst(spec.fields).flatMap((name) => [
    [`${name}:ASC`, `${name}, rising`], [`${name}:DESC`, `${name}, falling`]]));
  const query = route.query;
  form.field.value = query.get("field") || spec.key;
  form.operation.value = query.get("operation") || "EQUALS";
  form.value.value = query.get("value") || "";
  form.order.value = query.get("order") || `${spec.key}:ASC`;
  form.limit.value = query.get("limit") || "25";
  id("unfilter").href = linkTo(route.object);
  if (query.has("field")) id("filtering").open = true;
}

/** The query of the API for a filter and an order. */
function apiQuery({ field, operation, value, order }) {
  const query = new URLSearchParams();
  if (field && operation) {
    const sent = String(value ?? "").replace(/[\\:,]/g, "\\$&");
    query.set("where", operation.endsWith(":NULL") ? `${field}:${operation}`
      : `${field}:${operation}:${sent}`);
  }
  if (order) query.set("order", order);
  return query;
}

let newest = 0; // of the requests for a list or a record; an answer that comes late is dropped

async function showList() {
  const turn = ++newest;
  const { object } = route;
  const spec = specOf(object);
  const limit = Number(route.query.get("limit")) || 25;
  const offset = Number(route.query.get("offset")) || 0;
  const query = apiQuery(Object.fromEntries(route.query));
  const isFiltered = query.has("where");
  nameObject("list-title", calledOf(object), object);
  let [rows, total, text, problem] = [[], 0, "", ""];
  try {
    total = (await ask(`records/${object}/_count?${query}`)).response;
    query.set("limit", limit);
    query.set("offset", offset);
    const answer = await ask(`records/${object}?${query}`);
    rows = answer.response;
    if (turn === newest) known.customers = answer.customers;
    const range = rows.length ? `${offset + 1} to ${offset + rows.length}` : "0";
    text = `${range} of ${total.toLocaleString("en")}`;
  } catch (error) {
    problem = error.message;
  }
  if (turn !== newest) return;
  drawRows(spec, rows);
  id("list-text").className = problem ? "bad" : "";
  id("list-text").textContent = problem || text;
  id("list-empty").textContent = problem || total ? ""
    : isFiltered ? "Nothing matches the filter." : "There are none yet.";
  turnPage(id("previous"), offset > 0 && !problem, Math.max(0, offset - limit));
  turnPage(id("next"), offset + limit < total && !problem, offset + limit);
}

/** A title as people say it, and as the API does. */
function nameObject(place, title, inApi) {
  id(place).replaceChildren(title, title ? " " : "", make("code", { className: title ? "quiet" : "alone" }, inApi));
}

function turnPage(link, is, offset) {
  link.hidden = !is;
  const query = new URLSearchParams(route.query);
  query.set("offset", offset);
  link.href = `${linkTo(route.object)}?${query}`;
}

function drawRows(spec, rows) {
  const names = spec.fields.filter((name) => name !== spec.key
    && rows.some((row) => says(row[name])));
  const focused = document.activeElement?.closest("#rows a")?.getAttribute("href");
  fillTable(id("rows"), rows.length ? [spec.key, ...factsFirst(names)] : [], rows, (name, row) =>
    (name === spec.key ? make("a", { href: linkTo(spec.name, row[name]) }, row[name])
      : factOf(name, row)));
  if (focused) id("rows").querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

// One record.

async function showRecord() {
  const turn = ++newest;
  const { object, id: number } = route;
  const { key } = specOf(object);
  let [record, problem] = [{}, ""];
  try {
    const answer = await ask(`records/${object}/${encodeURIComponent(number)}`);
    if (Object(answer.response) !== answer.response) throw new Error("This is no record.");
    record = answer.response;
    if (turn === newest) known.customers = answer.customers;
  } catch (error) {
    problem = error.message;
  }
  if (turn !== newest) return;
  const called = nameIn(record);
  nameObject("record-title", called ? String(record[called]) : "", `${object} ${record[key] ?? number}`);
  id("record-text").className = problem ? "bad" : "";
  id("record-text").textContent = problem;
  const names = Object.keys(record).filter((name) => name !== key);
  if (key in record) names.unshift(key);
  const said = names.filter((name) => !isEmpty(record[name]));
  id("facts").replaceChildren(...factsOf(record).filter((name) => name !== key && name !== called)
    .map((name) => make("div", {}, make("dt", {}, name), make("dd", {}, factOf(name, record)))));
  id("parts").replaceChildren(...said.filter((name) => hasParts(record[name])).map((name) =>
    partOf(name, record[name])));
  id("fields").tBodies[0].replaceChildren(...said.filter((name) => !hasParts(record[name])).map(
    (name) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {},
      name === key ? String(record[name]) : valueOf(name, record[name])))));
  id("fields-title").hidden = said.length === 0;
  id("record-empty").textContent = emptyText(names.filter((name) => isEmpty(record[name])));
  id("related").replaceChildren();
  if (!problem && !Object.hasOwn(LISTS, object)) await showRelated(key, record[key], turn);
}

/** A nested part under its name. */
function partOf(name, value) {
  const title = make("h3", { id: `part-${name}` }, name);
  if (Array.isArray(value)) title.append(" ", make("span", { className: "quiet" }, value.length));
  return make("section", { "aria-labelledby": title.id }, title,
    make("div", { className: "scroll", role: "region", "aria-labelledby": title.id, tabIndex: 0 },
      valueOf(name, value)));
}

/** Links to the records that name this one, where there are any. */
async function showRelated(key, number, turn) {
  const links = [];
  for (const object of Object.keys({ ...FIRST, ...OTHERS })) {
    const spec = specOf(object);
    const field = spec?.filters.find((name) => name === key || name.endsWith(`.${key}`));
    if (!field || spec.key === key || !known.counts[object]) continue;
    const filter = { field, operation: "EQUALS", value: number };
    let count = 0;
    try {
      count = (await ask(`records/${object}/_count?${apiQuery(filter)}`)).response;
    } catch { /* a sandbox that is gone says so at the top */ }
    if (turn !== newest) return;
    if (!count) continue;
    links.push(make("li", {}, make("a", { href: `${linkTo(object)}?${new URLSearchParams(filter)}` },
      `${calledOf(object)} `, make("span", { className: "count" }, count.toLocaleString("en")))));
  }
  id("related").replaceChildren(...links);
}

/** Draw the list again if the number of its records has changed. */
export async function followList(before) {
  const { object } = route;
  if (object && route.id === null && before[object] !== undefined
      && before[object] !== known.counts[object]) await showList();
}

export function startRecords() {
  id("filter").addEventListener("submit", (event) => {
    event.preventDefault();
    const form = id("filter").elements;
    const query = new URLSearchParams({ order: form.order.value, limit: form.limit.value });
    if (form.value.value !== "" || form.operation.value.endsWith(":NULL")) {
      query.set("field", form.field.value);
      query.set("operation", form.operation.value);
      query.set("value", form.value.value);
    }
    location.hash = `${linkTo(route.object)}?${query}`;
  });
  addEventListener("hashchange", () => show().then(() => id("main").focus({ preventScroll: true })));
}
