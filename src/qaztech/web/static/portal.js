// The country, live: lines light up as calls cross them, logs grow, the list of exchanges keeps up. All of it from one
// stream of events; without it the page stays as it was when it was loaded.

import { copyButton, h, showAge, showTime, translator } from "./texts.js";

const { state, texts, country } = JSON.parse(document.getElementById("data").textContent);
const language = document.documentElement.lang;
const t = translator(texts[language]);
const explicit = new URLSearchParams(location.search).has("lang") ? `?lang=${language}` : "";
const OUTCOMES = ["answered", "refused", "no answer", "aborted", "outcome unknown"];
const ROWS = 30;
const LIT = 1400;
const SAY_EVERY = 4000;

const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const data = (name, value) => `[data-${name}="${CSS.escape(value)}"]`;
const outcomeOf = (row) => OUTCOMES.find((known) => row.state.startsWith(known)) ?? "outcome unknown";
const local = (identifier) => identifier.split("/").slice(3).map(decodeURIComponent).join(" / ");
let offset = Date.now() - state.time; // between the visitor's clock and the country's

// The list of exchanges -----------------------------------------------------------------------------------------------

function rowOf(row) {
  const outcome = outcomeOf(row);
  const href = `/receipts/${encodeURIComponent(row.node)}/${encodeURIComponent(row.message)}${explicit}`;
  return h(
    "tr",
    { "data-message": row.message },
    h("td", {}, h("time", {}, showTime(row.time, language, { date: false }))),
    h("td", {}, h("a", { href, "aria-label": t("portal", "open-receipt", { message: row.message }) }, t("portal", "open"))),
    h("td", {}, h("span", { class: `outcome ${outcome.replaceAll(" ", "-")}` }, `${t("portal", outcome)}${row.status ? ` ${row.status}` : ""}`)),
    h("td", {}, h("code", {}, row.method), " ", local(row.service)),
    h("td", {}, local(row.client)),
    h("td", { class: "amount" }, `${row.milliseconds} ${t("portal", "ms")}`),
  );
}

function listExchange(row, { fresh = false } = {}) {
  const list = byId("exchanges");
  const known = list.querySelector(data("message", row.message));
  const made = rowOf(row);
  if (known) {
    if (row.side === "provider") return; // the caller's side has told how it ended
    if (!known.contains(document.activeElement)) known.replaceWith(made);
  } else {
    list.prepend(made);
    if (fresh) made.classList.add("fresh");
    while (list.rows.length > ROWS) list.rows[list.rows.length - 1].remove();
  }
  byId("no-exchanges").hidden = true;
  list.closest(".scroll").hidden = false;
}

// The picture ---------------------------------------------------------------------------------------------------------

const timers = new Map();

/** Give elements a class for a while; a class of the same family that they have makes way. */
function light(selector, family, className, milliseconds, put = () => {}) {
  for (const element of all(selector)) {
    put(element);
    element.classList.remove(...[...element.classList].filter((name) => name.startsWith(family)));
    void element.getBoundingClientRect(); // so that the animation begins anew
    element.classList.add(className);
    clearTimeout(timers.get(element));
    timers.set(element, setTimeout(() => element.classList.remove(className), milliseconds));
  }
}

function showCall(row) {
  const outcome = outcomeOf(row).replaceAll(" ", "-");
  const pair = row.from && row.to ? [`${row.from} ${row.to}`, `${row.to} ${row.from}`] : [];
  if (row.side === "consumer") {
    light(`.line${data("line", `caller ${row.from}`)}`, "lit-", `lit-${outcome}`, LIT);
    for (const key of pair) {
      light(`.line${data("line", key)}`, "lit-", `lit-${outcome}`, LIT);
      light(data("word", key), "shown", "shown", LIT * 2.5, (word) => {
        word.querySelector("text").textContent = `${row.method} · ${row.status || t("portal", outcomeOf(row))} · ${row.milliseconds} ${t("portal", "ms")}`;
      });
    }
  } else if (outcome !== "refused") {
    light(`.line${data("line", `system ${row.to}`)}`, "lit-", `lit-${outcome}`, LIT); // a refused call never got there
  }
  light(`.box${data("box", row.at)}`, "busy", "busy", LIT);
}

let saidAt = 0;
function say(row, more) {
  if (Date.now() < saidAt + SAY_EVERY) return;
  saidAt = Date.now();
  const names = [row.from, row.to].map((name) => country[name]?.name ?? "?");
  const rest = more ? `, ${t("portal", "more", { count: more })}` : "";
  byId("now").textContent = `${names.join(" → ")}: ${local(row.service)}, ${t("portal", outcomeOf(row))} ${row.status || ""}, ${row.milliseconds} ${t("portal", "ms")}${rest}`;
}

// Nodes and logs --------------------------------------------------------------------------------------------------------

const logs = new Map();

function showNode(name, node) {
  logs.set(name, node);
  for (const lamp of all(`.box${data("box", name)} .lamp`)) lamp.setAttribute("class", `lamp ${node.ready ? "on" : "off"}`);
  const words = node.reachable ? t("portal", node.ready ? "log-of" : "not-ready", { size: node.log?.size }) : t("portal", "unreachable");
  for (const note of all(data("node-note", name))) note.textContent = `${t("portal", "node")} · ${words}`;
  showLog(name, node);
}

function showLog(name, { reachable, log }) {
  const card = document.querySelector(data("log", name));
  if (!card) return;
  const part = (which) => card.querySelector(data("part", which));
  const size = reachable ? String(log.size) : "–";
  if (part("size").textContent !== size) {
    part("size").textContent = size;
    light(`.log${data("log", name)}`, "grew", "grew", LIT);
  }
  part("root").textContent = reachable ? log.root.slice(0, 12) : "";
  showAgeOf(name);
}

function showAgeOf(name) {
  const { reachable, log } = logs.get(name);
  const place = document.querySelector(`${data("log", name)} ${data("part", "witnessed")}`);
  if (!place) return;
  if (!reachable) place.textContent = t("portal", "unreachable");
  else if (log.halted) place.textContent = t("portal", "halted", { reason: log.halted });
  else if (log.witnessed) {
    const age = showAge(Date.now() - offset - log.witnessed.time * 1000, t);
    place.textContent = `${t("portal", "witnessed-size", { size: log.witnessed.size })}, ${t("portal", "ago", { age })}`;
  } else place.textContent = name ? t("portal", "never-witnessed") : "";
}

function showIncidents(incidents) {
  listIncidents("incidents", incidents.filter(({ contradiction }) => contradiction));
  listIncidents("notices", incidents.filter(({ contradiction }) => !contradiction));
}

function listIncidents(id, incidents) {
  const section = byId(id);
  section.hidden = !incidents.length;
  const items = incidents.map(({ code, detail, time }) =>
    h("li", { class: "card" }, h("strong", {}, code), ` ${detail} `, h("span", { class: "note" }, showTime(time, language, { date: false }))),
  );
  section.querySelector("ul").replaceChildren(...items);
}

function showAll(found) {
  offset = Date.now() - found.time;
  for (const [name, node] of Object.entries(found.nodes)) showNode(name, node);
  logs.set("", found.registry);
  showLog("", found.registry);
  showIncidents(found.incidents);
  for (const row of [...found.exchanges].reverse()) listExchange(row);
}

function showChange(change) {
  offset = Date.now() - change.time;
  for (const [name, node] of Object.entries(change.nodes ?? {})) showNode(name, node);
  if (change.registry) {
    logs.set("", change.registry);
    showLog("", change.registry);
  }
  if (change.incidents) showIncidents(change.incidents);
  const rows = change.exchanges ?? [];
  for (const row of rows) {
    listExchange(row, { fresh: true });
    showCall(row);
  }
  const last = rows.findLast(({ side }) => side === "consumer");
  if (last) say(last, change.more);
}

// The stream --------------------------------------------------------------------------------------------------------------

function follow() {
  const live = byId("live");
  const tell = (key) => {
    live.hidden = false;
    live.className = `live ${key}`;
    live.textContent = t("portal", key);
  };
  tell("connecting");
  const stream = new EventSource("/events");
  stream.addEventListener("state", (event) => {
    showAll(JSON.parse(event.data));
    tell("live");
  });
  stream.addEventListener("change", (event) => showChange(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    tell("lost");
    if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
  });
}

// The call ------------------------------------------------------------------------------------------------------------------

byId("call")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [button, told] = [event.target.querySelector("button"), byId("called")];
  button.disabled = true;
  told.textContent = t("portal", "calling");
  try {
    const answer = await fetch("/calls", { method: "POST", headers: { Accept: "application/json" } });
    const said = await answer.json();
    if (answer.ok) {
      const link = h("a", { href: `/receipts/${encodeURIComponent(said.node)}/${encodeURIComponent(said.message)}${explicit}` }, t("portal", "open"));
      told.replaceChildren(t("portal", "call-done", said), " · ", t("portal", "proof"), ": ", link);
    } else told.textContent = answer.status === 429 ? t("portal", "call-refused") : t("portal", "call-failed", { reason: said.detail });
  } catch (error) {
    told.textContent = t("portal", "call-failed", { reason: error.message });
  }
  button.disabled = false;
});

for (const button of all("button[data-copy]")) button.replaceWith(copyButton(byId(button.dataset.copy).textContent, t));
showAll(state);
setInterval(() => [...logs.keys()].forEach(showAgeOf), 1000);
follow();
