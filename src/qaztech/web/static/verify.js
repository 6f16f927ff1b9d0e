// The checks of a receipt, in the order and under the names of docs/formats/receipt.md, written from the format pages.
// One module for the HTML receipt and for the portal. Needs no network and no page: give it a receipt and an anchor.
//
// A check is {check, at, verdict, reason, data}: what was checked, of what (a path such as "messages/0/proofs/1"), and
// "ok", "bad" or "unchecked". ML-DSA-44 signatures, timestamps and seals are never more than "unchecked" here.

import { checkCosignatures, checkInclusion, checkLines, checkLogSignature, leafHash, parseCheckpoint, parseProof, presentMlDsa } from "./checkpoint.js";
import { checkExcerptForm, checkSnapshot, fingerprint, parseAnchor } from "./configuration.js";
import { binding, covers, decodePart, memberOf, parseRecord, roleOf } from "./record.js";
import { Bad, Unchecked, base64, concat, fromBase64, isObject, list, nullOr, oneOf, shape, text, utf8 } from "./strict.js";

export const STATES = ["one-sided", "recorded", "witnessed", "timestamped", "sealed"];
const MAX_RECEIPT = 4 * 1024 * 1024;
const CLOCK_SKEW = 60_000;
// The services every node answers about its members, and the methods by which they need no right.
const METASERVICES = new Map([["listMethods", ["GET"]], ["allowedMethods", ["GET"]], ["getOpenAPI", ["GET"]], ["accessRequests", ["GET", "POST"]]]);
const ENDINGS = ["response", "refused", "no-answer", "aborted"];

const loose = { anyOrder: true };
const base64Text = (length = null) => (value, reason) => fromBase64(value, reason, length);
const entries = (members, options = { max: 64 }) => list(shape(members, loose), options);
const OPENED = { role: oneOf("request"), field: oneOf("path", "query", "headers"), salt: base64Text(32), value: base64Text() };
const RECEIPT = shape(
  {
    format: oneOf("qaztech-receipt 1"),
    message: text(),
    messages: entries(
      {
        role: oneOf("request", "response"),
        record: base64Text(),
        proofs: entries({ log: text(), proof: text() }, {}),
      },
      { min: 1, max: 8 },
    ),
    logs: entries({ origin: text(), member: nullOr(text()), vkeys: list(text()) }),
    configuration: (value, reason) => {
      if (!isObject(value)) throw new Bad(reason);
    },
    timestamps: entries({ log: text(), note: text(), token: base64Text() }),
    seals: entries({ log: text(), note: text(), seal: base64Text() }),
    disclosure: list(checkDisclosed, { max: 64 }),
    state: oneOf(...STATES),
  },
  loose,
);

/** A request has all four fields, an answer headers and body; a body is disclosed without its value. */
function checkDisclosed(value, reason) {
  const members = { ...OPENED };
  if (value?.role === "response") Object.assign(members, { role: oneOf("response"), field: oneOf("headers") });
  if (value?.field === "body") {
    members.field = oneOf("body");
    delete members.value;
  }
  shape(members, loose)(value, reason);
}

function checkForm(receipt) {
  const reason = "receipt.form";
  RECEIPT(receipt, reason);
  const unique = (values) => new Set(values).size === values.length;
  const fine =
    utf8(JSON.stringify(receipt)).length <= MAX_RECEIPT &&
    receipt.messages.every(({ proofs }) => unique(proofs.map(({ log }) => log))) &&
    unique(receipt.logs.map(({ origin }) => origin)) &&
    unique(receipt.disclosure.map(({ role, field }) => `${role} ${field}`));
  if (!fine) throw new Bad(reason);
}

/** Whether this has the form of a receipt, so that its parts can be relied on to be there. */
export function isReceipt(receipt) {
  try {
    checkForm(receipt);
    return true;
  } catch {
    return false;
  }
}

/** Collects verdicts. A step that throws anything unexpected is bad, never passed over. */
class Checks {
  constructor() {
    this.list = [];
  }

  add(check, at, verdict, reason = "", data = {}) {
    this.list.push({ check, at, verdict, reason, data });
  }

  /** Run one check; gives what `work` returns, or null where it did not pass. */
  async run(check, at, work) {
    try {
      const found = await work();
      this.add(check, at, "ok", "", found?.shown ?? {});
      return found ?? {};
    } catch (error) {
      const verdict = error instanceof Unchecked ? "unchecked" : "bad";
      const known = error instanceof Unchecked || error instanceof Bad;
      this.add(check, at, verdict, known ? error.reason : "unexpected", known ? error.data : { text: String(error) });
      return null;
    }
  }
}

/**
 * Check a receipt (parsed by `parseJson`) against the bytes of an anchor. `bodies` may hold the bytes of a request's or
 * response's body. Gives `{checks, state, records, anchor}`; what could not be read is null in them.
 */
export async function verifyReceipt(receipt, anchorData, crypto, bodies = {}) {
  const checks = new Checks();
  const shown = { fingerprint: await fingerprint(anchorData, crypto) };
  const anchor = await checks.run("anchor", "anchor", () => parseAnchor(anchorData, crypto));
  if (anchor) Object.assign(shown, anchor);
  const form = await checks.run("form", "receipt", () => checkForm(receipt));
  if (!form) return { checks: checks.list, state: null, records: [], anchor: shown };

  const records = [];
  for (const [i, message] of receipt.messages.entries()) records.push(await readRecord(checks, i, message, crypto));
  const exchange = await checkExchange(checks, receipt, records);
  const configurations = await checkConfiguration(checks, receipt, records, anchor, crypto);
  for (const record of records) record.configuration = configurationOf(record, records, configurations);
  for (const record of records) await checkProofs(checks, record, anchor, crypto);
  await checkListed(checks, receipt, configurations, anchor);
  for (const record of records) await checkParties(checks, record, exchange);
  await checkRight(checks, receipt, records);
  for (const record of records) await checkTime(checks, record, exchange);
  for (const [i, opened] of receipt.disclosure.entries()) await checkCommitment(checks, i, opened, records, bodies, crypto);
  await checkAttestations(checks, receipt, records, anchor);
  const state = await checkState(checks, receipt, records, exchange);
  return { checks: checks.list, state, records, anchor: shown };
}

// record ---------------------------------------------------------------------------------------------------------------

async function readRecord(checks, i, message, crypto) {
  const at = `messages/${i}`;
  const record = await checks.run("record", at, () => {
    const parsed = parseRecord(fromBase64(message.record, "record.base64"));
    if (roleOf(parsed.kind) !== message.role) throw new Bad("record.role", { kind: parsed.kind });
    return parsed;
  });
  const proofs = message.proofs.map((proof, j) => ({ at: `${at}/proofs/${j}`, log: proof.log, text: proof.proof }));
  for (const proof of proofs) {
    try {
      proof.parsed = parseProof(proof.text);
      proof.checkpoint = parseCheckpoint(proof.parsed.checkpoint);
    } catch (error) {
      proof.unreadable = error;
    }
  }
  const leaf = record && (await leafHash(record.data, crypto));
  return { at, kind: record?.kind ?? null, fields: record?.fields ?? {}, leaf, proofs, time: null };
}

// exchange -------------------------------------------------------------------------------------------------------------

/** Who is A and who is B: `{request, from, to}`; null where the records do not make one exchange. */
async function checkExchange(checks, receipt, records) {
  const found = { parties: null };
  await checks.run("exchange", "exchange", () => {
    const of = (...kinds) => records.filter((record) => kinds.includes(record.kind));
    if (of("request").length !== 1) throw new Bad("exchange.request");
    const [request] = of("request");
    const { from, to } = request.fields;
    const aborted = of("aborted").map(({ fields }) => fields.from);
    const tooMany =
      of("response", "refused").length > 1 ||
      ["request-tail", "response-tail", "no-answer"].some((kind) => of(kind).length > 1) ||
      new Set(aborted).size !== aborted.length;
    if (tooMany) throw new Bad("exchange.kinds");
    found.parties = { request, from, to };
    const readable = records.filter(({ kind }) => kind);
    for (const { kind, fields, proofs } of readable) {
      if (!proofs.every(({ log }) => log === from || log === to)) throw new Bad("exchange.log", { kind });
      for (const name of ["message", "client", "service"]) {
        if (name in fields && fields[name] !== request.fields[name]) throw new Bad("exchange.differs", { field: name });
      }
      const onward = ["request", "request-tail", "no-answer"].includes(kind);
      const back = ["response", "response-tail", "refused"].includes(kind);
      const isOnward = fields.from === from && fields.to === to;
      const isBack = fields.from === to && fields.to === from;
      if ((onward && !isOnward) || (back && !isBack) || !(isOnward || isBack)) throw new Bad("exchange.direction", { kind });
      if (!proofs.some(({ log }) => log === fields.from)) throw new Bad("exchange.unwritten", { kind });
    }
    if (receipt.message !== request.fields.message) throw new Bad("exchange.differs", { field: "message" });
    const unproven = [];
    for (const record of readable) {
      if ("request" in record.fields) unproven.push(...checkBinding(record, "request", request, from));
      if ("head" in record.fields) {
        const [head] = of(record.kind.slice(0, -5));
        if (!head || head.fields.size !== "-") throw new Bad("exchange.tail");
        unproven.push(...checkBinding(record, "head", head, record.fields.from));
      }
    }
    if (readable.length < records.length) throw new Unchecked("record.unread");
    if (unproven.length) throw new Unchecked("exchange.unproven", { kind: unproven[0] });
  });
  return found.parties;
}

/** Throws unless the record names this one and its place; gives its kind where no proof says the place. */
function checkBinding(record, field, bound, log) {
  const { digest, index } = binding(record.fields[field]);
  if (digest !== base64(bound.leaf)) throw new Bad("exchange.binding", { kind: record.kind, bound: bound.kind });
  const proven = bound.proofs.find((one) => one.log === log)?.parsed;
  if (proven && proven.index !== index) throw new Bad("exchange.index", { kind: record.kind, bound: bound.kind });
  return proven ? [] : [bound.kind];
}

// configuration --------------------------------------------------------------------------------------------------------

/** The configurations by `version hash`; none at all where any part of the excerpt does not hold. */
async function checkConfiguration(checks, receipt, records, anchor, crypto) {
  const found = new Map();
  const excerpt = receipt.configuration;
  const form = await checks.run("excerpt", "configuration", () => checkExcerptForm(excerpt, crypto));
  const named = records.flatMap(({ fields }) => ("snapshot" in fields ? [fields.snapshot] : []));
  const given = form ? excerpt.snapshots.map((part) => `${part.version} ${part.sha256}`) : [];
  let whole = Boolean(form);
  for (const snapshot of new Set([...given, ...named])) {
    const at = `configuration/${snapshot.split(" ")[0]}`;
    const steps = [];
    await checks.run("configuration", at, async () => {
      if (!anchor) throw new Unchecked("anchor.unread");
      if (!form) throw new Unchecked("excerpt.form");
      const part = excerpt.snapshots[given.indexOf(snapshot)];
      if (!part) throw new Bad("excerpt.snapshot");
      const done = (step, data, verdict = "ok", reason = "") => steps.push({ check: step, at, verdict, reason, data });
      const configuration = await checkSnapshot(part, excerpt.blobs, anchor, crypto, done).catch((error) => {
        whole = false;
        throw error;
      });
      found.set(snapshot, configuration);
      for (const { fields } of records) {
        if (fields.snapshot === snapshot && Number(fields.time) >= configuration.expires) throw new Bad("excerpt.expired");
      }
    });
    checks.list.push(...steps);
  }
  return whole ? found : new Map();
}

/** The configuration a record is judged by: that of its own snapshot, else of the request's. */
function configurationOf(record, records, configurations) {
  const request = records.find(({ kind }) => kind === "request");
  return configurations.get(record.fields.snapshot ?? request?.fields.snapshot) ?? null;
}

// inclusion, checkpoint, cosignatures ------------------------------------------------------------------------------------

async function checkProofs(checks, record, anchor, crypto) {
  for (const proof of record.proofs) {
    const { parsed, checkpoint, at } = proof;
    const readable = () => {
      if (proof.unreadable) throw proof.unreadable;
    };
    proof.included = await checks.run("inclusion", at, async () => {
      readable();
      if (!record.leaf) throw new Unchecked("record.unread");
      const { index, hashes } = parsed;
      await checkInclusion({ leaf: record.leaf, index, size: checkpoint.size, hashes, root: checkpoint.root }, crypto);
    });
    proof.signed = await checks.run("checkpoint", at, async () => {
      if (!parsed) throw new Unchecked("proof.form");
      readable();
      if (!record.configuration || !anchor) throw new Unchecked("configuration.unread");
      const log = record.configuration.log(proof.log);
      if (!log) throw new Bad("checkpoint.unknown", { origin: proof.log });
      checkLines(checkpoint, log.keys, anchor.policy);
      if (checkpoint.origin !== proof.log) throw new Bad("checkpoint.origin", { origin: checkpoint.origin });
      await checkLogSignature(checkpoint, log.keys, crypto);
      return { keys: log.keys };
    });
    await checkWitnesses(checks, proof, anchor, crypto);
    proof.holds = Boolean(proof.included && proof.signed);
  }
  const times = record.proofs.map((proof) => proof.holds && proof.witnessed?.time);
  if (times.length && times.every(Boolean)) record.time = Number(times.reduce((a, b) => (a > b ? a : b))) * 1000;
}

async function checkWitnesses(checks, proof, anchor, crypto) {
  let unchecked = [];
  proof.witnessed = await checks.run("cosignatures", proof.at, async () => {
    if (!proof.signed) throw new Unchecked("checkpoint.unverified");
    const hybrid = presentMlDsa(proof.checkpoint, proof.signed.keys);
    const witnessed = await checkCosignatures(proof.checkpoint, anchor.policy, crypto);
    unchecked = hybrid ? [brief(proof.log), ...witnessed.unchecked] : witnessed.unchecked;
    return { ...witnessed, shown: { names: [...witnessed.times.keys()].join(", "), time: Number(witnessed.time) * 1000 } };
  });
  proof.unchecked = unchecked;
  if (unchecked.length) checks.add("ml-dsa", proof.at, "unchecked", "ml-dsa", { names: unchecked.join(", ") });
}

/** A log's origin, short enough to be read. */
const brief = (origin) => `…${origin.slice(-20, -12)}…`;

// logs, parties, right, time ---------------------------------------------------------------------------------------------

/** Each log or witness is listed with the member and the keys it has. */
async function checkListed(checks, receipt, configurations, anchor) {
  const witnesses = new Map();
  for (const { key, hybrid } of anchor?.policy.witnesses.values() ?? []) {
    for (const one of hybrid ? [key, hybrid] : [key]) witnesses.set(one.name, [...(witnesses.get(one.name) ?? []), one]);
  }
  for (const [i, { origin, member, vkeys }] of receipt.logs.entries()) {
    await checks.run("logs", `logs/${i}`, () => {
      const among = (keys) => vkeys.every((vkey) => keys.some((key) => key.text === vkey));
      if (!anchor || (!witnesses.has(origin) && !configurations.size)) throw new Unchecked("configuration.unread");
      const logs = [...configurations.values()].map((one) => one.log(origin)).filter(Boolean);
      const right = witnesses.has(origin)
        ? member === null && among(witnesses.get(origin))
        : logs.some((log) => memberOf(log.node) === member && among(log.keys));
      if (!right || !vkeys.length || new Set(vkeys).size !== vkeys.length) throw new Bad("logs.keys", { origin });
      return { shown: { origin } };
    });
  }
}

/** Throws unless, at that moment, both logs spoke for their members. */
function checkVoices({ request, from, to }, configuration, at) {
  const { client, service } = request.fields;
  for (const [member, log] of [[memberOf(client), from], [memberOf(service), to]]) {
    if (!configuration.speaksFor(log, member, at)) throw new Bad("parties.log", { member, log });
  }
}

function checkParties(checks, record, exchange) {
  return checks.run("parties", record.at, () => {
    if (!exchange || !record.kind) throw new Unchecked("exchange.unread");
    if (!record.configuration) throw new Unchecked("configuration.unread");
    checkVoices(exchange, record.configuration, Number(record.fields.time));
  });
}

async function checkRight(checks, receipt, records) {
  const path = receipt.disclosure.find(({ role, field }) => role === "request" && field === "path");
  for (const record of records.filter(({ kind }) => kind === "request")) {
    await checks.run("right", record.at, () => {
      const { service, endpoint, method, time } = record.fields;
      const methods = METASERVICES.get(decodePart(service.split("/").at(-1)));
      if (endpoint === "-" && methods?.includes(method)) return { shown: { endpoint } };
      if (!record.configuration) throw new Unchecked("configuration.unread");
      if (endpoint === "-") throw new Bad("right.none");
      if (!record.configuration.grants(record.fields, Number(time))) throw new Bad("right.missing", { endpoint });
      const called = path && (new TextDecoder("utf-8", { ignoreBOM: true }).decode(fromBase64(path.value)) || "/");
      if (path && !covers(endpoint, method, called)) throw new Bad("right.path", { endpoint });
      return { shown: { endpoint } };
    });
  }
}

/** When the witnesses saw a record, all that it rests on must have been in force. */
function checkTime(checks, record, exchange) {
  return checks.run("time", record.at, () => {
    if (!record.kind) throw new Unchecked("record.unread");
    const { time, expires } = record.fields;
    if (expires !== undefined && BigInt(time) > BigInt(expires)) throw new Bad("time.expired");
    if (record.time === null) throw new Unchecked("time.unwitnessed");
    if (Number(time) > record.time + CLOCK_SKEW) throw new Bad("time.later", { time: record.time });
    if (record.configuration?.expires <= record.time) throw new Bad("excerpt.expired");
    if (record.configuration && exchange) checkVoices(exchange, record.configuration, record.time);
    return { shown: { time: record.time } };
  });
}

// commitment -------------------------------------------------------------------------------------------------------------

function checkCommitment(checks, i, { role, field, salt, value }, records, bodies, crypto) {
  return checks.run("commitment", `disclosure/${i}`, async () => {
    const head = records.find(({ kind }) => kind === role);
    const tail = records.find(({ kind }) => kind === `${role}-tail`);
    const record = field === "body" && head?.fields.size === "-" ? tail : head;
    if (!record) throw new Unchecked("commitment.field", { field });
    const empty = record.fields.size === "0" ? new Uint8Array() : null;
    const bytes = field === "body" ? (bodies[role] ?? empty) : fromBase64(value);
    if (!bytes) throw new Unchecked("commitment.body");
    const digest = await crypto.sha256(concat(fromBase64(salt), await crypto.sha256(bytes)));
    if (base64(digest) !== record.fields[field]) throw new Bad("commitment.differs", { field });
  });
}

// timestamp, seal, state -------------------------------------------------------------------------------------------------

async function checkAttestations(checks, receipt, records, anchor) {
  const proofs = records.flatMap((record) => record.proofs).filter(({ holds, witnessed }) => holds && witnessed);
  const notes = new Set(proofs.map(({ log, parsed }) => `${log} ${parsed.checkpoint}`));
  for (const [i, { log, note }] of receipt.timestamps.entries()) {
    await checks.run("timestamp", `timestamps/${i}`, () => {
      if (anchor?.tsas.length && !notes.has(`${log} ${note}`)) throw new Bad("timestamp.note");
      throw new Unchecked("timestamp");
    });
  }
  for (const i of receipt.seals.keys()) checks.add("seal", `seals/${i}`, "unchecked", "seal");
}

async function checkState(checks, receipt, records, exchange) {
  const found = stateOf(records, exchange);
  await checks.run("state", "receipt", () => {
    const beyond = { timestamped: "timestamp", sealed: "seal" }[receipt.state];
    const open = checks.list.some(({ check, verdict }) => check === beyond && verdict === "unchecked");
    if (STATES.indexOf(receipt.state) > STATES.indexOf(found)) {
      // Only what no page can check lies between what is said and what was found.
      if (found === "witnessed" && open) throw new Unchecked("state.higher", { found });
      throw new Bad("state.lower", { found });
    }
    const hybrid = records.some(({ proofs }) => proofs.some(({ unchecked }) => unchecked.length));
    if (hybrid && receipt.state === "witnessed") throw new Unchecked("state.ml-dsa", { found });
    return { shown: { found } };
  });
  return found;
}

/** The weakest over all records and proofs, as far as this page can see: at most `witnessed`. */
function stateOf(records, exchange) {
  if (!exchange || !records.every(({ kind }) => kind)) return "one-sided";
  const has = (kind) => records.some((record) => record.kind === kind);
  const held = (record, log) => record.proofs.some((proof) => proof.log === log && proof.holds);
  const complete = records.every((record) => {
    const owed = ["no-answer", "aborted"].includes(record.kind) ? [record.fields.from] : [record.fields.from, record.fields.to];
    const tailed = record.fields.size !== "-" || has(`${record.kind}-tail`);
    return tailed && owed.every((log) => held(record, log));
  });
  if (!complete || !ENDINGS.some(has)) return "one-sided";
  const witnessed = records.every(({ proofs }) => proofs.every((proof) => proof.holds && proof.witnessed));
  return witnessed ? "witnessed" : "recorded";
}
