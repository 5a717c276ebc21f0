"use strict";
// Every value of the sandbox becomes a text node; nothing here makes HTML of a string.

const PLANE = "/_sandbox/";
const EVERY_MS = 1000;
const KEPT_ROWS = 300;

const id = (name) => document.getElementById(name);

/** An element with properties and children; strings become text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "scope" || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/** JSON of the control plane; an error it explains is thrown with its text. */
async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(PLANE + path, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error || content.message || `HTTP ${answer.status}`);
  return content;
}

let about = null;
let counts = {};
let route = { object: null, id: null, query: new URLSearchParams() };

// Where we are: "#/", "#/customer?offset=25" or "#/customer/7".

function readRoute() {
  const hash = location.hash.startsWith("#/") ? location.hash.slice(2) : "";
  const [path, query = ""] = hash.split("?", 2);
  let parts = [];
  try { parts = path.split("/").map(decodeURIComponent); } catch { /* no address of ours */ }
  const [object, record] = parts;
  const known = about.objects.some((each) => each.name === object);
  return { object: known ? object : null, id: known && record ? record : null,
           query: new URLSearchParams(query) };
}

const linkTo = (object, record) =>
  `#/${encodeURIComponent(object)}${record === undefined ? "" : `/${encodeURIComponent(record)}`}`;

const specOf = (object) => about.objects.find((each) => each.name === object);

async function show() {
  route = readRoute();
  id("overview").hidden = route.object !== null;
  id("list").hidden = route.object === null || route.id !== null;
  id("record").hidden = route.id === null;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.object === (route.object ?? undefined);
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  document.title = `${route.object ?? "Overview"} - ChargeOver sandbox`;
  if (route.id !== null) await showRecord();
  else if (route.object !== null) { fillForm(); await showList(); }
}

// The objects.

function drawObjects(records) {
  const list = id("objects");
  if (!list.childElementCount) {
    for (const { name } of about.objects) {
      list.append(make("li", {}, make("a", { href: linkTo(name) },
        make("span", {}, name), make("span", { className: "count" }, "0"))));
      list.lastChild.firstChild.dataset.object = name;
    }
  }
  for (const link of list.querySelectorAll("a")) {
    const count = records[link.dataset.object] ?? 0;
    link.lastChild.textContent = count.toLocaleString("en");
    link.classList.toggle("none", count === 0);
  }
}

// One object's records.

function fillForm() {
  const form = id("filter").elements;
  const spec = specOf(route.object);
  const options = (select, values) => select.replaceChildren(
    ...values.map(([value, text]) => make("option", { value }, text)));
  options(form.field, spec.filters.map((name) => [name, name]));
  options(form.operation, about.operations.flatMap((name) => (name === "IS" || name === "ISNOT")
    ? [[`${name}:NULL`, name === "IS" ? "NULL" : "not NULL"]] : [[name, name]]));
  options(form.order, spec.fields.flatMap((name) => [
    [`${name}:ASC`, `${name}, rising`], [`${name}:DESC`, `${name}, falling`]]));
  const query = route.query;
  form.field.value = query.get("field") || spec.key;
  form.operation.value = query.get("operation") || "EQUALS";
  form.value.value = query.get("value") || "";
  form.order.value = query.get("order") || `${spec.key}:ASC`;
  form.limit.value = query.get("limit") || "25";
  id("unfilter").href = linkTo(route.object);
}

/** The query of the API for what the address says. */
function apiQuery() {
  const query = new URLSearchParams();
  const [field, operation] = [route.query.get("field"), route.query.get("operation")];
  if (field && operation) {
    const value = (route.query.get("value") || "").replace(/[\\:,]/g, "\\$&");
    query.set("where", operation.endsWith(":NULL") ? `${field}:${operation}`
      : `${field}:${operation}:${value}`);
  }
  if (route.query.get("order")) query.set("order", route.query.get("order"));
  return query;
}

let newest = 0; // of the requests for a list; an answer that comes late is dropped

async function showList() {
  const turn = ++newest;
  const { object } = route;
  const spec = specOf(object);
  const limit = Number(route.query.get("limit")) || 25;
  const offset = Number(route.query.get("offset")) || 0;
  const query = apiQuery();
  id("list-title").textContent = object;
  try {
    const total = (await ask(`records/${object}/_count?${query}`)).response;
    query.set("limit", limit);
    query.set("offset", offset);
    const rows = (await ask(`records/${object}?${query}`)).response;
    if (turn !== newest) return;
    drawRows(spec, rows);
    id("list-text").className = "";
    id("list-text").textContent = rows.length
      ? `${offset + 1} to ${offset + rows.length} of ${total.toLocaleString("en")}`
      : `0 of ${total.toLocaleString("en")}`;
    turnPage(id("previous"), offset > 0, Math.max(0, offset - limit));
    turnPage(id("next"), offset + limit < total, offset + limit);
  } catch (error) {
    if (turn !== newest) return;
    drawRows(spec, []);
    id("list-text").className = "bad";
    id("list-text").textContent = error.message;
    turnPage(id("previous"), false);
    turnPage(id("next"), false);
  }
}

function turnPage(link, is, offset) {
  link.hidden = !is;
  const query = new URLSearchParams(route.query);
  query.set("offset", offset ?? 0);
  link.href = `${linkTo(route.object)}?${query}`;
}

function drawRows(spec, rows) {
  const says = (value) => value !== null && value !== "" && typeof value !== "object";
  const names = spec.fields.filter((name) => name !== spec.key
    && rows.some((row) => says(row[name])));
  if (rows.length) names.unshift(spec.key);
  const table = id("rows");
  table.tHead.rows[0].replaceChildren(
    ...names.map((name) => make("th", { scope: "col" }, name)));
  table.tBodies[0].replaceChildren(...rows.map((row) => make("tr", {}, ...names.map((name) =>
    make("td", { title: says(row[name]) ? String(row[name]) : "" },
      name === spec.key ? make("a", { href: linkTo(spec.name, row[name]) }, row[name])
        : valueOf(name, row[name]))))));
}

/** A value as text, or as a link where it is the id of a record. */
function valueOf(name, value) {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value === "object") return make("pre", {}, JSON.stringify(value, null, 2));
  const object = about.objects.find((each) => each.key === name);
  if (object && counts[object.name]) return make("a", { href: linkTo(object.name, value) }, value);
  return document.createTextNode(String(value));
}

// One record.

async function showRecord() {
  const { object, id: number } = route;
  id("record-title").textContent = `${object} ${number}`;
  const body = id("fields").tBodies[0];
  try {
    const record = (await ask(`records/${object}/${encodeURIComponent(number)}`)).response;
    id("record-text").textContent = "";
    const key = specOf(object).key;
    const isEmpty = (value) => value === null || value === "";
    const names = Object.keys(record).filter((name) => name !== key);
    const empty = names.filter((name) => isEmpty(record[name]));
    body.replaceChildren(...[key, ...names].filter((name) => !isEmpty(record[name])).map((name) =>
      make("tr", {}, make("th", { scope: "row" }, name),
        make("td", {}, name === key ? String(record[name]) : valueOf(name, record[name])))));
    id("record-empty").textContent = empty.length ? `Empty: ${empty.join(", ")}` : "";
  } catch (error) {
    body.replaceChildren();
    id("record-empty").textContent = "";
    id("record-text").className = "bad";
    id("record-text").textContent = error.message;
  }
}

// The quota.

function drawQuota(quota) {
  const svg = id("quota-chart");
  const shape = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const [width, height, foot] = [720, 150, 2];
  const values = quota.kind === null ? quota.requests : quota.used;
  const top = Math.max(quota.kind === null ? 1 : quota.limit, ...values) * 1.08;
  const x = (place) => (place / (values.length - 1)) * width;
  const y = (value) => height - foot - (value / top) * (height - foot);
  const line = values.map((value, place) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`);
  svg.replaceChildren(shape("path", {
    class: "use", d: `M0,${height + 5} L${line.join(" L")} L${width},${height + 5} Z` }));
  if (quota.kind !== null) {
    svg.append(shape("line", {
      class: "limit", x1: 0, x2: width, y1: y(quota.limit), y2: y(quota.limit) }));
  }
  quota.refused.forEach((count, place) => {
    if (count) svg.append(shape("rect", {
      class: "refused", x: x(place) - 1.5, y: height - 14, width: 3, height: 14 }));
  });
  const refused = quota.refused.reduce((sum, count) => sum + count, 0);
  const span = quota.step_s * values.length;
  const per = `${quota.window_s} s (${quota.kind})`;
  id("quota-text").textContent = quota.kind === null
    ? `No quota; ${quota.requests.reduce((sum, count) => sum + count, 0)} requests in the last ${span} s`
    : `${Math.round(quota.used.at(-1))} of ${quota.limit} used, per ${per}; `
      + `${refused} answered with 429 in the last ${span} s`;
  id("quota-from").textContent = `${span} s ago`;
}

// The log.

let after = 0; // the last request that we know to the end

function drawLog(log) {
  const body = id("log").tBodies[0];
  if (log.last < after) { body.replaceChildren(); after = 0; }
  for (const row of [...body.rows]) {
    if (Number(row.dataset.number) < log.first || log.last === 0) row.remove();
  }
  for (const entry of log.entries) {
    const row = logRow(entry);
    const old = body.querySelector(`tr[data-number="${entry.number}"]`);
    if (old) {
      if (old.querySelector("details[open]")) row.querySelector("details")?.setAttribute("open", "");
      old.replaceWith(row);
    } else body.prepend(row);
  }
  while (body.rows.length > KEPT_ROWS) body.lastChild.remove();
  const open = log.entries.find((entry) => entry.took === null);
  after = open ? open.number - 1 : log.last;
  id("log").hidden = body.rows.length === 0;
  id("log-empty").hidden = body.rows.length > 0;
}

function logRow(entry) {
  const at = new Date(Date.now() - entry.ago * 1000);
  const path = make("td", {}, make("span", { className: "code" }, entry.target));
  if (entry.items.length) {
    const failed = entry.items.filter(([, , code]) => code >= 400).length;
    path.append(make("details", {},
      make("summary", {}, `${entry.items.length} entries, ${failed} failed`),
      make("ol", {}, ...entry.items.map(([method, uri, code]) => make("li", {},
        make("span", { className: "code" }, `${method} ${uri} `), codeOf(code))))));
  }
  const row = make("tr", {},
    make("td", {}, at.toLocaleTimeString("en-GB")),
    make("td", {}, entry.took === null ? "…" : codeOf(entry.status)),
    make("td", {}, entry.method), path,
    make("td", { className: "number" },
      entry.took === null ? "" : `${(entry.took * 1000).toFixed(1)} ms`),
    make("td", { className: "warn" }, entry.fault ?? ""));
  row.dataset.number = entry.number;
  return row;
}

function codeOf(code) {
  const kind = code === 0 || code >= 500 ? "bad" : code >= 400 ? "warn" : "good";
  return make("span", { className: kind }, code === 0 ? "no answer" : code);
}

// The faults.

function drawFaultTable() {
  id("faults").tBodies[0].replaceChildren(...about.faults.map((fault) => {
    const { kind } = fault;
    const value = fault.value === null ? "" : make("input", {
      type: "number", min: 0, step: "any", name: "value", "aria-label": `Value of ${kind}`,
      value: fault.value === "required" ? "1" : "" });
    const rate = make("input", {
      type: "number", min: 0, max: 100, step: "any", name: "rate", placeholder: "0 %",
      "aria-label": `Percent of requests that meet ${kind}` });
    const once = make("button", { type: "button" }, "Next request");
    once.setAttribute("aria-label", `The next request meets ${kind}`);
    const row = make("tr", {}, make("td", { className: "code" }, kind),
      make("td", {}, fault.text), make("td", {}, value), make("td", {}, rate), make("td", {}, once));
    row.dataset.kind = kind;
    rate.addEventListener("change", setRates);
    if (value) value.addEventListener("change", () => { if (rate.value) setRates(); });
    once.addEventListener("click", () => setFaults({ script: [textOf(row)] }));
    return row;
  }));
}

function textOf(row) {
  const value = row.querySelector("[name=value]")?.value ?? "";
  return value === "" ? row.dataset.kind : `${row.dataset.kind}=${value}`;
}

function setRates() {
  const rates = {};
  for (const row of id("faults").tBodies[0].rows) {
    const percent = Number(row.querySelector("[name=rate]").value);
    if (percent) rates[textOf(row)] = percent / 100;
  }
  return setFaults({ rates });
}

let faultError = "";

async function setFaults(wanted) {
  try {
    await ask("faults", wanted);
    faultError = "";
  } catch (error) {
    faultError = error.message;
  }
  if (running) await running; // it may have asked before this change
  await refresh();
}

function drawFaults(faults) {
  const down = id("down");
  down.setAttribute("aria-pressed", String(faults.maintenance));
  const ordered = Object.entries(faults.rates).filter(([, rate]) => rate > 0);
  const parts = ordered.map(([kind, rate]) => `${kind} ${+(rate * 100).toFixed(2)} %`);
  if (faults.scripted) parts.push(`${faults.scripted} for the next requests`);
  if (faults.maintenance) parts.push("down: everything is answered with 503");
  const text = id("faults-text");
  const says = faultError || (parts.length ? `On: ${parts.join(", ")}` : "No faults are on.");
  if (text.textContent !== says) text.textContent = says;
  text.className = faultError ? "bad" : parts.length ? "warn" : "quiet";
  for (const row of id("faults").tBodies[0].rows) {
    const rate = row.querySelector("[name=rate]");
    if (rate === document.activeElement) continue;
    const found = Object.entries(faults.rates).find(([kind]) => kind.split("=")[0] === row.dataset.kind);
    rate.value = found && found[1] ? +(found[1] * 100).toFixed(4) : "";
    const value = row.querySelector("[name=value]");
    if (found && value && value !== document.activeElement) value.value = found[0].split("=")[1] ?? "";
  }
}

// Once a second while somebody looks.

let paused = false;
let running = null;

function refresh() {
  running ??= poll().finally(() => { running = null; });
  return running;
}

async function poll() {
  const state = id("state");
  try {
    const now = await ask(`live?after=${after}`);
    const before = counts;
    counts = now.records;
    drawObjects(counts);
    drawQuota(now.quota);
    drawFaults(now.faults);
    if (!paused) drawLog(now.log);
    const says = `${now.log.last.toLocaleString("en")} requests`;
    if (state.textContent !== says) state.textContent = says;
    state.className = "";
    if (route.object && route.id === null && before[route.object] !== undefined
        && before[route.object] !== counts[route.object]) await showList();
  } catch {
    state.textContent = "The sandbox does not answer; trying again";
    state.className = "bad";
  }
}

async function start() {
  id("base").textContent = location.origin;
  for (;;) {
    try { about = await ask("about"); break; } catch (error) {
      id("state").textContent = error.message;
      await new Promise((wake) => setTimeout(wake, EVERY_MS));
    }
  }
  id("base").textContent = location.origin + about.base;
  drawObjects({});
  drawFaultTable();
  id("down").addEventListener("click", () =>
    setFaults({ maintenance: id("down").getAttribute("aria-pressed") !== "true" }));
  id("clear").addEventListener("click", () => setFaults({ clear: true }));
  id("pause").addEventListener("click", () => {
    paused = !paused;
    id("pause").setAttribute("aria-pressed", String(paused));
    refresh();
  });
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
  await refresh();
  await show();
  setInterval(() => { if (document.visibilityState === "visible") refresh(); }, EVERY_MS);
}

start();
