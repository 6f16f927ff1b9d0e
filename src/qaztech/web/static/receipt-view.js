// A receipt on a page: what it says, beside every check of it, and the offer to change a byte and see what turns red.
// Used by the HTML receipt and by the portal alike. Whatever comes from the receipt enters the page as text only.

import { decodePart, memberOf } from "./record.js";
import { base64, fromBase64, fromUtf8, parseJson, utf8 } from "./strict.js";
import { copyButton, h, showTime, translator } from "./texts.js";
import { isReceipt, verifyReceipt } from "./verify.js";

const MARKS = { ok: "✓", bad: "✗", unchecked: "–" };
const SHOWN_FIELDS = ["method", "endpoint", "status", "code", "size", "outcome", "attempt", "snapshot", "from", "to"];
const COMMAND = "qaztech verify receipt.json --anchor anchor.json";
const COMMAND_ALONE = "python3 docs/verify.py receipt.json --anchor anchor.json";

/** Show a receipt (its JSON text) in `place`. Gives `{setLanguage}`. */
export function showReceipt(place, options) {
  try {
    const view = new ReceiptView(place, options);
    view.build();
    return { setLanguage: (language) => view.setLanguage(language) };
  } catch (error) {
    // Not even JSON: there is nothing to show but that.
    const t = translator(options.texts[options.language]);
    place.replaceChildren(h("p", { class: "headline bad", role: "alert" }, mark("bad"), t("why", error.reason ?? String(error))));
    return { setLanguage: () => {} };
  }
}

class ReceiptView {
  constructor(place, { text, anchor, texts, language, crypto }) {
    Object.assign(this, { place, text, anchor, texts, crypto, bodies: {}, running: 0 });
    this.receipt = parseJson(text, "receipt.form");
    this.change = null;
    this.result = null;
    this.setTexts(language);
  }

  setTexts(language) {
    this.language = language;
    this.t = translator(this.texts[language]);
  }

  setLanguage(language) {
    const open = [...this.place.querySelectorAll("details[open]")].map((details) => details.dataset.at);
    this.setTexts(language);
    this.build();
    for (const details of this.place.querySelectorAll("details")) details.open = open.includes(details.dataset.at);
  }

  // The page is built once for a language; what depends on verdicts is drawn again after every check ------------------

  build() {
    this.drawn = [];
    if (!isReceipt(this.receipt)) {
      // Nothing in it can be relied on to be there: the verdict is all there is to show.
      this.place.replaceChildren(this.drawAgain(h("section", { class: "verdict-panel" }), () => this.verdict()));
      this.check();
      return;
    }
    this.place.replaceChildren(
      this.drawAgain(h("div", { class: "changed-bar", role: "status" }), () => this.changeBar()),
      this.drawAgain(h("section", { class: "verdict-panel", "aria-live": "polite" }), () => this.verdict()),
      this.drawAgain(h("section", { class: "summary" }), () => this.summary()),
      this.records(),
      this.drawAgain(h("section", {}), () => this.configuration()),
      this.disclosed(),
      this.drawAgain(h("section", {}), () => this.attestations()),
      this.drawAgain(h("section", { class: "anchor-panel" }), () => this.anchorPanel()),
    );
    this.check();
  }

  drawAgain(element, draw) {
    this.drawn.push(() => element.replaceChildren(...[draw()].flat().filter(Boolean)));
    this.drawn.at(-1)();
    return element;
  }

  async check() {
    const run = ++this.running;
    const result = await verifyReceipt(this.receipt, this.anchor, this.crypto, this.bodies);
    if (run !== this.running) return; // a later change is being checked
    this.result = result;
    this.kinds ??= result.records.map(({ kind }) => kind);
    for (const draw of this.drawn) draw();
  }

  checksAt(...paths) {
    return (this.result?.checks ?? []).filter(({ at }) => paths.includes(at));
  }

  // Changing bytes ------------------------------------------------------------------------------------------------------

  /** Everything that can be changed by hand: a name for people, and its text read and written. */
  changeable() {
    return this.receipt.messages.flatMap((message, i) => [
      {
        at: `messages/${i}`,
        name: () => this.t("receipt", "where-record", { kind: this.kind(i) }),
        read: () => readable(message.record),
        write: (text) => (message.record = base64(utf8(text))),
      },
      ...message.proofs.map((proof, j) => ({
        at: `messages/${i}/proofs/${j}`,
        name: () => this.t("receipt", "where-proof", { kind: this.kind(i), member: this.logOwner(proof.log) }),
        read: () => proof.proof,
        write: (text) => (proof.proof = text),
      })),
    ]);
  }

  /** What a record is, also while it is changed beyond recognition. */
  kind(i) {
    return this.t("kind", this.result?.records[i]?.kind ?? this.kinds?.[i] ?? this.receipt.messages[i].role);
  }

  changeByte(target = null) {
    this.restore();
    const all = this.changeable();
    const chosen = target === null ? all[Math.floor(Math.random() * all.length)] : all.find(({ at }) => at === target);
    const text = chosen.read();
    const places = changeablePlaces(text);
    const place = places[Math.floor(Math.random() * places.length)];
    const before = [...text];
    const after = String.fromCharCode(before[place].charCodeAt(0) ^ 1);
    chosen.write([...before.slice(0, place), after, ...before.slice(place + 1)].join(""));
    this.change = { where: chosen, place: place + 1, before: before[place], after };
    this.fillEditors();
    this.check();
    this.place.querySelector(".changed-bar").scrollIntoView({ block: "nearest" });
  }

  edited(target, text) {
    this.changeable().find(({ at }) => at === target).write(text);
    const original = parseJson(this.text, "receipt.form");
    this.change = JSON.stringify(original) === JSON.stringify(this.receipt) ? null : { where: this.changeable().find(({ at }) => at === target) };
    this.check();
  }

  restore() {
    const original = parseJson(this.text, "receipt.form");
    this.receipt.messages = original.messages;
    this.change = null;
  }

  undo() {
    this.restore();
    this.fillEditors();
    this.check();
  }

  fillEditors() {
    for (const one of this.changeable()) {
      const editor = this.place.querySelector(`textarea[data-at="${one.at}"]`);
      if (editor) editor.value = one.read();
    }
  }

  changeBar() {
    if (!this.change) return null;
    const { where, place, before, after } = this.change;
    const data = { where: where.name(), place, before, after };
    const noticed = this.result?.checks.some(({ verdict }) => verdict === "bad");
    return h(
      "div",
      { class: "changed" },
      h("p", {}, h("strong", {}, this.t("receipt", "changed"), ". "), this.t("receipt", place ? "changed-byte" : "changed-text", data), noticed ? null : ` ${this.t("receipt", "unnoticed")}`),
      h("button", { type: "button", class: "undo", click: () => this.undo() }, this.t("receipt", "undo")),
    );
  }

  // The verdict and what happened -----------------------------------------------------------------------------------------

  verdict() {
    if (!this.result) return h("p", { class: "headline" }, this.t("receipt", "checking"));
    const { checks, state } = this.result;
    const count = { ok: 0, bad: 0, unchecked: 0 };
    for (const { verdict } of checks) count[verdict]++;
    const bad = checks.filter(({ verdict }) => verdict === "bad");
    const certain = checks.some(({ check, verdict }) => check === "state" && verdict === "ok");
    const kind = bad.length ? "bad" : "ok";
    return [
      h("p", { class: `headline ${kind}` }, mark(kind), h("span", {}, this.t("receipt", bad.length ? "fails" : "holds"))),
      h("p", { class: "counts" }, this.t("receipt", "counts", count), !bad.length && h("span", { class: `state ${certain ? state : ""}` }, this.t("state", state))),
      bad.length ? h("ul", { class: "failures" }, bad.map((check) => this.failure(check))) : null,
      isReceipt(this.receipt) && h("p", { class: "offer" }, h("button", { type: "button", class: "change", click: () => this.changeByte() }, this.t("receipt", "change")), " ", this.t("receipt", "change-lead")),
    ];
  }

  failure(check) {
    const where = isReceipt(this.receipt) && this.changeable().find(({ at }) => at === check.at);
    const link = h("a", { href: `#${idOf(check.at)}` }, this.t("check", check.check));
    return h("li", {}, link, where ? ` (${where.name()})` : null, `: ${this.why(check)}`);
  }

  summary() {
    const fieldsOf = (...kinds) => this.result?.records.find(({ kind }) => kinds.includes(kind))?.fields;
    const request = fieldsOf("request");
    if (!request) return null;
    const ending = this.result.records.find(({ kind }) => ["response", "refused", "no-answer", "aborted"].includes(kind));
    const rows = [
      [this.t("receipt", "called"), showTime(Number(request.time), this.language, { fraction: true })],
      [this.t("receipt", "answered"), this.outcome(request, ending)],
      [this.t("receipt", "right"), h("code", {}, request.endpoint)],
      [this.t("receipt", "message"), h("code", {}, request.message)],
    ];
    return [
      h(
        "div",
        { class: "parties" },
        this.party("from", request.client),
        h("span", { class: "arrow", "aria-hidden": "true" }, h("code", {}, request.method)),
        this.party("to", request.service),
      ),
      h("dl", { class: "facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    ];
  }

  outcome(request, ending) {
    if (!ending) return this.t("receipt", "none-yet");
    if (ending.kind !== "response") return this.t("receipt", `${ending.kind}-code`, { code: ending.fields.code });
    const milliseconds = Number(ending.fields.time) - Number(request.time);
    const answered = this.t("receipt", "answered-in", { status: ending.fields.status, milliseconds });
    const tail = this.result.records.find(({ kind }) => kind === "response-tail")?.fields;
    return tail && tail.outcome !== "complete" ? `${answered}; ${this.t("receipt", "cut-short")}` : answered;
  }

  party(side, identifier) {
    const parts = identifier.split("/").map((part) => decodePart(part) ?? part);
    const name = this.memberName(memberOf(identifier));
    return h(
      "div",
      { class: "party" },
      h("span", { class: "label" }, this.t("receipt", side)),
      h("strong", {}, name ?? parts[2]),
      h("span", { class: "local" }, parts.slice(3).join(" / ")),
      h("code", { class: "id" }, parts.slice(0, 3).join("/")),
    );
  }

  /** A member's name by its own signed file, where that was verified. */
  memberName(member) {
    for (const { configuration } of this.result?.records ?? []) {
      const names = configuration?.member(member)?.names;
      if (names) return names[this.language];
    }
    return null;
  }

  // Records and proofs -----------------------------------------------------------------------------------------------------

  records() {
    return h(
      "section",
      {},
      h("h2", {}, this.t("receipt", "records")),
      this.drawAgain(h("div", { id: idOf("exchange") }), () => this.checks("exchange")),
      this.receipt.messages.map((message, i) => this.message(i, message)),
    );
  }

  message(i, message) {
    const at = `messages/${i}`;
    const record = () => this.result?.records[i];
    return h(
      "article",
      { class: "card", id: idOf(at) },
      this.drawAgain(h("h3", {}), () => [h("span", { class: "number", "aria-hidden": "true" }, String(i + 1)), this.kind(i)]),
      h(
        "div",
        { class: "beside" },
        this.drawAgain(h("dl", { class: "fields" }), () => this.fields(record()?.fields ?? {})),
        this.drawAgain(h("div", {}), () => this.checks(at)),
      ),
      this.editor(at, "record-text"),
      message.proofs.map((_, j) => this.proof(i, j)),
    );
  }

  fields(fields) {
    const rows = SHOWN_FIELDS.filter((name) => name in fields).map((name) => [name, fields[name]]);
    if ("time" in fields) rows.unshift(["time", showTime(Number(fields.time), this.language, { fraction: true })]);
    return rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("code", {}, value))));
  }

  proof(i, j) {
    const at = `messages/${i}/proofs/${j}`;
    const proof = () => this.result?.records[i]?.proofs[j];
    return h(
      "div",
      { class: "proof", id: idOf(at) },
      this.drawAgain(h("h4", {}), () => this.t("receipt", "proof-in", { member: this.logOwner(this.receipt.messages[i].proofs[j].log) })),
      this.drawAgain(h("ol", { class: "chain" }), () => this.chain(at, proof())),
      this.editor(at, "proof-text"),
    );
  }

  logOwner(origin) {
    const listed = this.receipt.logs.find((log) => log.origin === origin);
    return (listed?.member && this.memberName(listed.member)) || listed?.member || origin;
  }

  /** The links of a proof, each with the check that holds it. */
  chain(at, proof) {
    const { parsed, checkpoint } = proof ?? {};
    const subjects = {
      inclusion: parsed && checkpoint && this.t("receipt", "entry", { index: parsed.index, size: checkpoint.size }),
      checkpoint: checkpoint && `${this.t("receipt", "root")} ${base64(checkpoint.root).slice(0, 10)}…, ${this.t("receipt", "by-log")}`,
    };
    return this.checksAt(at).map((check) => this.checkItem(check, subjects[check.check]));
  }

  editor(at, label) {
    const one = this.changeable().find((target) => target.at === at);
    const area = h("textarea", {
      "data-at": at,
      spellcheck: "false",
      autocomplete: "off",
      rows: Math.min(20, one.read().split("\n").length + 1),
      "aria-label": this.t("receipt", label),
      input: (event) => this.edited(at, event.target.value),
    });
    area.value = one.read();
    const button = h("button", { type: "button", class: "small", click: () => this.changeByte(at) }, this.t("receipt", "change-here"));
    return h("details", { class: "bytes", "data-at": at }, h("summary", {}, this.t("receipt", label)), h("p", { class: "note" }, this.t("receipt", "edited"), " ", button), area);
  }

  // Checks ---------------------------------------------------------------------------------------------------------------

  checks(...paths) {
    const found = this.checksAt(...paths);
    return found.length ? h("ul", { class: "checks" }, found.map((check) => this.checkItem(check))) : null;
  }

  checkItem(check, subject = null, id = null) {
    const { check: name, verdict } = check;
    const said = verdict === "ok" ? this.says(check) : this.why(check);
    return h(
      "li",
      { class: `check ${verdict}`, id },
      mark(verdict),
      h(
        "span",
        { class: "body" },
        h("strong", {}, this.t("check", name)),
        " ",
        h("span", { class: "verdict" }, this.t("verdict", verdict)),
        h("span", { class: "what" }, this.texts[this.language].check[name]?.[1] ?? ""),
        subject && h("span", { class: "subject" }, subject),
        said && h("span", { class: "said" }, said),
      ),
    );
  }

  says({ check, data }) {
    const known = check in this.texts[this.language].says && Object.keys(data).length;
    return known ? this.t("says", check, this.present(data)) : "";
  }

  why({ reason, data }) {
    return this.t("why", reason, this.present(data));
  }

  present(data) {
    const shown = { ...data };
    if (typeof data.time === "number") shown.time = showTime(data.time, this.language);
    for (const name of ["kind", "bound"]) if (name in data) shown[name] = this.t("kind", data[name]);
    if ("found" in data) shown.found = this.t("state", data.found);
    if (data.member) shown.member = this.memberName(data.member) ?? data.member;
    if (check(data.field, this.texts[this.language].field)) shown.field = this.t("field", data.field);
    return shown;
  }

  // Configuration, disclosure, attestations, anchor -----------------------------------------------------------------------

  configuration() {
    const found = (this.result?.checks ?? []).filter(({ at }) => at.startsWith("logs/") || at.startsWith("configuration"));
    const versions = [...new Set(found.map(({ at }) => at))].filter((at) => at.startsWith("configuration/"));
    return [
      h("h2", {}, this.t("receipt", "configuration")),
      h("p", { class: "lead" }, this.t("receipt", "configuration-lead")),
      h("div", { id: idOf("configuration") }, this.checks("configuration")),
      ...versions.map((at) =>
        h(
          "article",
          { class: "card", id: idOf(at) },
          h("h3", {}, this.t("receipt", "snapshot-number", { version: at.split("/")[1] })),
          h("ol", { class: "chain" }, this.checksAt(at).map((one) => this.checkItem(one))),
        ),
      ),
      h(
        "article",
        { class: "card" },
        h("h3", {}, this.t("check", "logs")),
        h("ol", { class: "chain" }, this.receipt.logs.map((_, i) => this.checksAt(`logs/${i}`).map((one) => this.checkItem(one, null, idOf(one.at))))),
      ),
    ];
  }

  disclosed() {
    const section = h("section", {}, h("h2", {}, this.t("receipt", "disclosed")), h("p", { class: "lead" }, this.t("receipt", "disclosed-lead")));
    if (!this.receipt.disclosure.length) section.append(h("p", {}, this.t("receipt", "disclosed-none")));
    for (const [i, shown] of this.receipt.disclosure.entries()) section.append(this.opened(`disclosure/${i}`, shown));
    return section;
  }

  opened(at, { role, field, value }) {
    const choose = async (event) => {
      const [file] = event.target.files;
      this.bodies[role] = file && new Uint8Array(await file.arrayBuffer());
      this.check();
    };
    const picker = () => h("label", { class: "picker" }, this.t("receipt", "choose-body"), h("input", { type: "file", change: choose }));
    return h(
      "article",
      { class: "card", id: idOf(at) },
      h("h3", {}, `${this.t("role", role)}: ${this.t("field", field)}`),
      h(
        "div",
        { class: "beside" },
        field === "body" ? picker() : h("pre", { class: "value" }, readable(value) || "∅"),
        this.drawAgain(h("div", {}), () => this.checks(at)),
      ),
    );
  }

  attestations() {
    const found = (this.result?.checks ?? []).filter(({ at }) => at.startsWith("timestamps/") || at.startsWith("seals/"));
    return [
      h("h2", {}, this.t("receipt", "attestations")),
      found.length
        ? h("ul", { class: "checks", id: idOf(found[0].at) }, found.map((one) => this.checkItem(one)))
        : h("p", {}, this.t("receipt", "attestations-none")),
    ];
  }

  anchorPanel() {
    const anchor = this.result?.anchor;
    if (!anchor) return null;
    const groups = anchor.fingerprint.split(" ");
    return [
      h("h2", { id: idOf("anchor") }, this.t("receipt", "anchor")),
      h("p", {}, this.t("receipt", "anchor-lead", { instance: anchor.instance ?? "?" })),
      h("p", { class: "fingerprint" }, groups.map((group) => h("span", {}, group, " ")), copyButton(anchor.fingerprint, this.t)),
      h("div", { id: idOf("receipt") }, this.checks("anchor", "receipt")),
      h(
        "div",
        { class: "card vouch" },
        h("h3", {}, this.t("receipt", "vouch-title")),
        h("p", {}, this.t("receipt", "vouch")),
        ...[COMMAND, COMMAND_ALONE].map((line) => h("div", { class: "command" }, h("code", {}, line), copyButton(line, this.t))),
        h("p", {}, h("button", { type: "button", click: () => this.save() }, this.t("receipt", "download"))),
        h("p", { class: "note" }, this.t("receipt", this.crypto.native ? "vouch-native" : "vouch-vendored")),
      ),
    ];
  }

  save() {
    const url = URL.createObjectURL(new Blob([this.text], { type: "application/json" }));
    h("a", { href: url, download: "receipt.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

const check = (name, texts) => name !== undefined && name in texts;
const idOf = (at) => `at-${at.replaceAll("/", "-")}`;
const mark = (verdict) => h("span", { class: `mark ${verdict}`, "aria-hidden": "true" }, MARKS[verdict]);

/** Where a change is one that this page can see: letters and digits, but not in a long (ML-DSA-44) signature. */
function changeablePlaces(text) {
  const places = [];
  let at = 0;
  for (const line of text.split("\n")) {
    const letters = [...line];
    const end = letters.length > 400 ? letters.indexOf(" ", 2) : letters.length;
    for (let i = 0; i < end; i++) if (letters[i] > " " && letters[i] < "~") places.push(at + i);
    at += letters.length + 1;
  }
  return places;
}

/** Base64 as the text it is; where it is not UTF-8, as it stands. */
function readable(encoded) {
  try {
    return fromUtf8(fromBase64(encoded, ""), "");
  } catch {
    return encoded;
  }
}
