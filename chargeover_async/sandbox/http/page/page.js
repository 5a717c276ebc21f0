// The page's start, its overview, and the question that it asks once a second.

import { ask, id, known, make } from "./parts.js";
import { drawObjects, followList, show, startRecords } from "./records.js";

const EVERY_MS = 1000;
const KEPT_ROWS = 300;

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
  id("faults").tBodies[0].replaceChildren(...known.about.faults.map((fault) => {
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
    const before = known.counts;
    known.counts = now.records;
    drawObjects();
    drawQuota(now.quota);
    drawFaults(now.faults);
    if (!paused) drawLog(now.log);
    const says = `${now.log.last.toLocaleString("en")} requests`;
    if (state.textContent !== says) state.textContent = says;
    state.className = "";
    await followList(before);
  } catch {
    state.textContent = "The sandbox does not answer; trying again";
    state.className = "bad";
  }
}

// URL, user name and password.

function drawAccess() {
  const { base, username, password } = known.about;
  for (const [name, value] of Object.entries({ base: location.origin + base, username, password })) {
    id(name).textContent = value;
    const button = document.querySelector(`[data-copies=${name}]`);
    button.addEventListener("click", () => copy(button, id(name)));
  }
  id("access").hidden = false;
}

async function copy(button, source) {
  let says = "Copied";
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch { // a browser may forbid it; then the keyboard can still do it
    getSelection().selectAllChildren(source);
    says = "Press Ctrl+C";
  }
  button.textContent = id("copied").textContent = says;
  setTimeout(() => { button.textContent = "Copy"; id("copied").textContent = ""; }, 2 * EVERY_MS);
}

async function start() {
  for (;;) {
    try { known.about = await ask("about"); break; } catch (error) {
      id("state").textContent = error.message;
      await new Promise((wake) => setTimeout(wake, EVERY_MS));
    }
  }
  drawAccess();
  drawObjects();
  drawFaultTable();
  startRecords();
  id("down").addEventListener("click", () =>
    setFaults({ maintenance: id("down").getAttribute("aria-pressed") !== "true" }));
  id("clear").addEventListener("click", () => setFaults({ clear: true }));
  id("pause").addEventListener("click", () => {
    paused = !paused;
    id("pause").setAttribute("aria-pressed", String(paused));
    refresh();
  });
  await refresh();
  await show();
  setInterval(() => { if (document.visibilityState === "visible") refresh(); }, EVERY_MS);
}

start();
