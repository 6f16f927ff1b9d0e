// Notes, checkpoints, cosignatures, witness policies and proofs: docs/formats/{checkpoint,cosignature,policy,proof}.md,
// which are those of C2SP. Reading is pure; what needs a hash or a signature is given `crypto` (see crypto.js).

import { Bad, Unchecked, base64, concat, equal, fromBase64, fromUtf8, hex, utf8 } from "./strict.js";

export const ED25519 = 1;
export const COSIGNATURE_ED25519 = 4;
export const ML_DSA_44 = 6;

const MAX_NOTE = 512 * 1024;
const MAX_SIZE = 2n ** 63n - 1n;
const PUBLIC_SIZES = { [ED25519]: 32, [COSIGNATURE_ED25519]: 32, [ML_DSA_44]: 1312 };
// The length of what follows the key id.
const SIGNATURE_SIZES = { [ED25519]: 64, [COSIGNATURE_ED25519]: 72, [ML_DSA_44]: 2428 };

const isKeyName = (name) => name !== "" && !/[\s\x85+]/u.test(name);

function number(text, reason) {
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(text) || BigInt(text) > MAX_SIZE) throw new Bad(reason);
  return BigInt(text);
}

/** A verifier key `NAME+ID+BASE64`: `{name, id, kind, key, text}`. */
export async function parseKey(text, crypto, reason = "key.form") {
  const [name, id, ...rest] = text.split("+");
  const material = fromBase64(rest.join("+"), reason);
  const [kind, key] = [material[0], material.slice(1)];
  if (!isKeyName(name) || PUBLIC_SIZES[kind] !== key.length) throw new Bad(reason);
  const digest = await crypto.sha256(concat(utf8(name), Uint8Array.of(10, kind), key));
  if (hex(digest.slice(0, 4)) !== id) throw new Bad(reason);
  return { name, id, kind, key, text };
}

function parseNote(note, reason) {
  // eslint-disable-next-line no-control-regex
  if (utf8(note).length > MAX_NOTE || /[\x00-\x09\x0b-\x1f]/.test(note)) throw new Bad(reason);
  const blank = note.lastIndexOf("\n\n");
  const lines = note.slice(blank + 2).split("\n");
  if (blank < 0 || lines.pop() !== "" || lines.length < 1 || lines.length > 100) throw new Bad(reason);
  const signatures = lines.map((line) => {
    const found = /^\u2014 ([^ ]+) ([^ ]+)$/.exec(line);
    if (!found || !isKeyName(found[1])) throw new Bad(reason);
    const bytes = fromBase64(found[2], reason);
    if (bytes.length <= 4) throw new Bad(reason);
    return { name: found[1], id: hex(bytes.slice(0, 4)), signature: bytes.slice(4) };
  });
  return { text: note.slice(0, blank + 1), signatures };
}

/** A checkpoint as it came, nothing in it verified: `{origin, size, root, extensions, text, signatures}`. */
export function parseCheckpoint(note) {
  const reason = "checkpoint.form";
  const { text, signatures } = parseNote(note, reason);
  const lines = text.slice(0, -1).split("\n");
  const [origin, size, root, ...extensions] = lines;
  if (lines.length < 3 || lines.includes("") || utf8(origin).length > 255) throw new Bad(reason);
  return { origin, size: number(size, reason), root: fromBase64(root, reason, 32), extensions, text, signatures };
}

/** A proof: `{index, hashes, checkpoint}`, the last as text. */
export function parseProof(text) {
  const reason = "proof.form";
  const blank = text.indexOf("\n\n");
  const [header, ...lines] = text.slice(0, Math.max(blank, 0)).split("\n");
  if (blank < 0 || header !== "c2sp.org/tlog-proof@v1" || utf8(text).length > 655360) throw new Bad(reason);
  if (lines[0]?.startsWith("extra ")) fromBase64(lines.shift().slice(6), reason);
  const index = lines.shift() ?? "";
  if (!index.startsWith("index ") || lines.length > 63) throw new Bad(reason);
  return {
    index: number(index.slice(6), reason),
    hashes: lines.map((line) => fromBase64(line, reason, 32)),
    checkpoint: text.slice(blank + 2),
  };
}

/** The hash of a log entry. */
export const leafHash = (data, crypto) => crypto.sha256(concat(Uint8Array.of(0), data));

const bitLength = (value) => (value ? value.toString(2).length : 0);

/** Check that the leaf is number `index` of the `size` leaves under `root`. */
export async function checkInclusion({ leaf, index, size, hashes, root }, crypto) {
  if (index >= size) throw new Bad("proof.index", { index, size });
  const inner = bitLength(index ^ (size - 1n));
  const border = (index >> BigInt(inner)).toString(2).replaceAll("0", "").length;
  if (hashes.length !== inner + border) throw new Bad("proof.length");
  let hash = leaf;
  for (let level = 0; level < hashes.length; level++) {
    const right = level >= inner || (index >> BigInt(level)) & 1n;
    const pair = right ? [hashes[level], hash] : [hash, hashes[level]];
    hash = await crypto.sha256(concat(Uint8Array.of(1), ...pair));
  }
  if (!equal(hash, root)) throw new Bad("proof.path");
}

const linesBy = (checkpoint, key) =>
  checkpoint.signatures.filter((line) => line.name === key.name && line.id === key.id);

/** A receipt holds nothing that nobody vouches for: every line is by one of these keys, or a witness of the policy. */
export function checkLines(checkpoint, keys, policy) {
  const known = [...keys, ...[...policy.witnesses.values()].flatMap(({ key, hybrid }) => (hybrid ? [key, hybrid] : [key]))];
  for (const { name, id } of checkpoint.signatures) {
    if (!known.some((key) => key.name === name && key.id === id)) throw new Bad("checkpoint.stranger", { name });
  }
}

/** Check a log's own Ed25519 signature; `keys` are the keys known for it. */
export async function checkLogSignature(checkpoint, keys, crypto) {
  let signed = false;
  for (const key of keys.filter((key) => key.kind === ED25519 && key.name === checkpoint.origin)) {
    for (const { signature } of linesBy(checkpoint, key)) {
      if (!(await crypto.ed25519(key.key, signature, utf8(checkpoint.text)))) throw new Bad("checkpoint.signature");
      signed = true;
    }
  }
  if (!signed) throw new Bad("checkpoint.unsigned", { origin: checkpoint.origin });
}

/**
 * A log's ML-DSA-44 signature, where one is owed: that it is missing is seen here, whether it is right is not.
 * Returns whether there is one that was not checked.
 */
export function presentMlDsa(checkpoint, keys) {
  const owed = keys.filter((key) => key.kind === ML_DSA_44 && key.name === checkpoint.origin);
  if (!owed.length) return false;
  if (checkpoint.extensions.length) throw new Bad("checkpoint.extension");
  const lines = owed.flatMap((key) => linesBy(checkpoint, key));
  if (!lines.length) throw new Bad("checkpoint.downgraded", { name: checkpoint.origin });
  if (lines.some((line) => line.signature.length !== SIGNATURE_SIZES[ML_DSA_44])) throw new Bad("cosignature.wrong");
  return true;
}

/** A witness policy: `{witnesses: Map, groups, quorum}`; the witnesses with `.pq` keys carry them as `hybrid`. */
export async function parsePolicy(text, crypto) {
  const reason = "policy.form";
  // eslint-disable-next-line no-control-regex
  if (utf8(text).length > 1048576 || /[\x00-\x08\x0b-\x1f\x7f]/.test(text)) throw new Bad(reason);
  const lines = text.split("\n");
  if (lines.pop() !== "" || lines.length > 4096) throw new Bad(reason);
  const draft = { witnesses: new Map(), hybrids: new Map(), groups: [], used: new Set(), keys: new Set(), quorum: "" };
  for (const line of lines) {
    const words = line.replace(/^[ \t]+|[ \t]+$/g, "").split(/[ \t]+/);
    if (words[0] && !words[0].startsWith("#")) await readPolicyLine(words, draft, crypto, reason);
  }
  for (const [name, hybrid] of draft.hybrids) {
    const witness = draft.witnesses.get(name.slice(0, -3));
    if (witness?.key.kind !== COSIGNATURE_ED25519) throw new Bad(reason);
    witness.hybrid = hybrid;
  }
  if (!draft.quorum) throw new Bad(reason);
  return { witnesses: draft.witnesses, groups: draft.groups, quorum: draft.quorum };
}

async function readPolicyLine(words, draft, crypto, reason) {
  const [kind, name, ...rest] = words;
  const defined = (other) => draft.witnesses.has(other) || draft.groups.some((group) => group.name === other);
  const need = (condition) => {
    if (!condition) throw new Bad(reason);
  };
  const key = async (vkey, use, kinds) => {
    const parsed = await parseKey(vkey ?? "", crypto, reason);
    const seen = `${use} ${base64(parsed.key)}`;
    need(kinds.includes(parsed.kind) && !draft.keys.has(seen));
    draft.keys.add(seen);
    return parsed;
  };
  if (kind === "log") {
    need(rest.length <= 1);
    await key(name, "log", [ED25519, ML_DSA_44]);
  } else if (kind === "witness") {
    need((rest.length === 1 || rest.length === 2) && name !== "none" && !defined(name) && !draft.hybrids.has(name));
    if (name.endsWith(".pq")) draft.hybrids.set(name, await key(rest[0], "witness", [ML_DSA_44]));
    else draft.witnesses.set(name, { name, key: await key(rest[0], "witness", [COSIGNATURE_ED25519, ML_DSA_44]), hybrid: null });
  } else if (kind === "group") {
    const [count, ...members] = rest;
    need(name && name !== "none" && !name.endsWith(".pq") && !defined(name) && !draft.hybrids.has(name));
    for (const member of members) {
      need(defined(member) && !draft.used.has(member));
      draft.used.add(member);
    }
    const digits = /^[1-9][0-9]{0,3}$/.test(count ?? "") ? Number(count) : 0;
    const threshold = { all: members.length, any: 1 }[count] ?? digits;
    need(threshold >= 1 && threshold <= members.length);
    draft.groups.push({ name, threshold, members });
  } else {
    need(kind === "quorum" && name && !rest.length && !draft.quorum && (name === "none" || defined(name)));
    draft.quorum = name;
  }
}

/** Whether these witnesses are a quorum. */
export function satisfied(policy, names) {
  const counted = new Set(names);
  for (const group of policy.groups) {
    if (group.members.filter((member) => counted.has(member)).length >= group.threshold) counted.add(group.name);
  }
  return policy.quorum === "none" || counted.has(policy.quorum);
}

async function cosignedAt(checkpoint, key, crypto) {
  let earliest = null;
  for (const { signature } of linesBy(checkpoint, key)) {
    if (signature.length !== SIGNATURE_SIZES[key.kind]) throw new Bad("cosignature.wrong", { name: key.name });
    const time = new DataView(signature.buffer).getBigUint64(0);
    const message = utf8(`cosignature/v1\ntime ${time}\n${checkpoint.text}`);
    const right = key.kind === ML_DSA_44 || (await crypto.ed25519(key.key, signature.slice(8), message));
    if (!right || time > MAX_SIZE) throw new Bad("cosignature.wrong", { name: key.name });
    if (earliest === null || time < earliest) earliest = time;
  }
  return earliest;
}

const later = (a, b) => (a > b ? a : b);

/**
 * The witnesses that cosigned: `{times: Map name -> seconds, time, unchecked}`. `unchecked` names those whose ML-DSA-44
 * cosignature is there and was not checked. Throws `Bad` without a quorum, `Unchecked` without any cosignature.
 */
export async function checkCosignatures(checkpoint, policy, crypto) {
  const times = new Map();
  const unchecked = [];
  const perhaps = []; // witnesses that have no other key than ML-DSA-44
  let seen = false;
  for (const { name, key, hybrid } of policy.witnesses.values()) {
    const found = [];
    for (const one of hybrid ? [key, hybrid] : [key]) found.push(await cosignedAt(checkpoint, one, crypto));
    seen ||= found.some((time) => time !== null);
    if (!found.every((time) => time)) continue;
    if (hybrid || key.kind === ML_DSA_44) unchecked.push(name);
    if (key.kind === ML_DSA_44) perhaps.push(name);
    else times.set(name, found.reduce(later));
  }
  if (!seen && policy.quorum !== "none") throw new Unchecked("cosignature.none");
  if (!satisfied(policy, times.keys())) {
    if (satisfied(policy, [...times.keys(), ...perhaps])) throw new Unchecked("ml-dsa", { names: perhaps.join(", ") });
    throw new Bad("cosignature.quorum", { names: [...times.keys()].join(", ") || "—" });
  }
  return { times, time: quorumTime(policy, times), unchecked };
}

/** The earliest moment by which a full quorum had cosigned. */
function quorumTime(policy, times) {
  const moments = [0n, ...times.values()].sort((a, b) => (a < b ? -1 : Number(a > b)));
  const by = (moment) => [...times].filter(([, time]) => time <= moment).map(([name]) => name);
  return moments.find((moment) => satisfied(policy, by(moment)));
}
