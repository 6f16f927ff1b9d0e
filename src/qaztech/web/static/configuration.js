// The anchor, and the configuration excerpt that is checked against it: docs/formats/{anchor,excerpt,member-file,
// rights-page,registry-log}.md. The Update Framework's metadata is read only as far as a receipt needs it.

import {
  ED25519,
  ML_DSA_44,
  checkCosignatures,
  checkInclusion,
  checkLines,
  checkLogSignature,
  leafHash,
  parseCheckpoint,
  parseKey,
  parsePolicy,
  parseProof,
  presentMlDsa,
} from "./checkpoint.js";
import { isEndpoint, isIdentifier, memberOf } from "./record.js";
import {
  Bad,
  canonicalJson,
  compare,
  concat,
  fromBase64,
  fromUtf8,
  hex,
  isObject,
  list,
  namesOf,
  nullOr,
  oneOf,
  parseJson,
  shape,
  text,
  utf8,
  whole,
} from "./strict.js";

const HEX = /^[0-9a-f]{64}$/;
const HASH = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const ORIGIN = /^[a-z0-9.-]{1,100}\/log\/[0-9a-f]{20}$/;
const MAX_TIME = 253402300799000;
const MAX_EXCERPT = 200 * 1024;
const MAX_PAGE = 16 * 1024;
const ENVELOPE_TYPE = "application/vnd.qaztech.member-file+json";

const time = whole(0, MAX_TIME);
const version = whole(1);
const identifier = (parts) => (value, reason) => {
  if (typeof value !== "string" || !isIdentifier(value, parts)) throw new Bad(reason);
};

// The anchor ---------------------------------------------------------------------------------------------------------

const ANCHOR = shape({
  type: oneOf("qaztech-anchor 1"),
  instance: text(),
  root: text(),
  registry_log: shape({ origin: text(ORIGIN), vkeys: list(text(), { min: 1, max: 2 }) }),
  policy: text(),
  tsas: list(text()),
  issued: time,
});

/** SHA-256 of an anchor file in groups of four hex digits, to be compared on paper or read aloud. */
export async function fingerprint(data, crypto) {
  return hex(await crypto.sha256(data)).match(/.{4}/g).join(" ");
}

/** The anchor in these bytes, its root and policy read. */
export async function parseAnchor(data, crypto) {
  const reason = "anchor.form";
  const form = parseJson(fromUtf8(data, reason), reason, { compact: true });
  ANCHOR(form, reason);
  form.tsas.forEach((tsa) => fromBase64(tsa, reason));
  const root = readMetadata(fromUtf8(fromBase64(form.root, reason), reason), "root");
  await checkSigned(root, "root", root.signed, crypto);
  return {
    instance: form.instance,
    issued: form.issued,
    root,
    origin: form.registry_log.origin,
    tsas: form.tsas,
    keys: await logKeys(form.registry_log.origin, form.registry_log.vkeys, crypto, reason),
    policy: await parsePolicy(form.policy, crypto),
    fingerprint: await fingerprint(data, crypto),
  };
}

/** A log's keys: Ed25519 first, whose hash the origin ends with, then perhaps ML-DSA-44; all named as the origin. */
async function logKeys(origin, vkeys, crypto, reason) {
  const keys = [];
  for (const vkey of vkeys) keys.push(await parseKey(vkey, crypto, reason));
  const kinds = keys.map((key) => key.kind).join();
  const named = keys.every((key) => key.name === origin);
  if (!named || (kinds !== `${ED25519}` && kinds !== `${ED25519},${ML_DSA_44}`)) throw new Bad(reason);
  if (hex(await crypto.sha256(keys[0].key)).slice(0, 20) !== origin.slice(-20)) throw new Bad(reason);
  return keys;
}

// The Update Framework -----------------------------------------------------------------------------------------------

const SIGNATURE = shape({ keyid: text(), sig: text(/^(?:[0-9a-f]{2})*$/) }, { anyOrder: true });
const needed = (condition, reason = "tuf.form") => {
  if (!condition) throw new Bad(reason);
};

/** Metadata of this type, its signatures not looked at. */
function readMetadata(data, type) {
  const reason = "tuf.form";
  const metadata = parseJson(data, reason);
  needed(isObject(metadata) && isObject(metadata.signed) && Array.isArray(metadata.signatures));
  const { signed, signatures } = metadata;
  for (const signature of signatures) SIGNATURE(signature, reason);
  needed(new Set(signatures.map((signature) => signature.keyid)).size === signatures.length);
  needed(signed._type === type && /^1\.[0-9]+(\.[0-9]+)?$/.test(signed.spec_version));
  version(signed.version, reason);
  const expires = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(signed.expires) ? Date.parse(signed.expires) : NaN;
  needed(Number.isFinite(expires));
  return { signed, signatures, expires };
}

/** Check that metadata is signed by the threshold of keys that its delegator names for the role. */
async function checkSigned(metadata, role, delegator, crypto) {
  const { keys, keyids, threshold } = delegation(delegator, role);
  const message = utf8(canonicalJson(metadata.signed));
  let signers = 0;
  for (const id of new Set(keyids)) {
    const key = isObject(keys) ? keys[id] : undefined;
    const signature = metadata.signatures.find((found) => found.keyid === id);
    if (!isObject(key) || key.keytype !== "ed25519" || key.scheme !== "ed25519" || !isObject(key.keyval)) continue;
    const value = key.keyval.public;
    if (!signature || !HEX.test(value) || signature.sig.length !== 128) continue;
    const [bytes, sig] = [value, signature.sig].map((digits) => Uint8Array.from(digits.match(/../g), (d) => parseInt(d, 16)));
    if (await crypto.ed25519(bytes, sig, message)) signers++;
  }
  if (signers < threshold) throw new Bad("tuf.signature", { role, count: signers, threshold });
}

function delegation(delegator, role) {
  if (delegator._type === "root") {
    const found = isObject(delegator.roles) ? delegator.roles[role] : undefined;
    needed(isObject(found) && Array.isArray(found.keyids) && Number.isSafeInteger(found.threshold) && found.threshold > 0);
    return { keys: delegator.keys, keyids: found.keyids, threshold: found.threshold };
  }
  const bins = binsOf(delegator);
  const number = role.startsWith(`${bins.name_prefix}-`) ? role.slice(bins.name_prefix.length + 1) : "";
  needed(number.length === suffixLength(bins) && /^[0-9a-f]+$/.test(number) && parseInt(number, 16) < 2 ** bins.bit_length);
  return { keys: delegator.delegations.keys, keyids: bins.keyids, threshold: bins.threshold };
}

function binsOf(targets) {
  const bins = isObject(targets.delegations) ? targets.delegations.succinct_roles : undefined;
  needed(isObject(bins) && Array.isArray(bins.keyids) && typeof bins.name_prefix === "string");
  needed(Number.isSafeInteger(bins.threshold) && bins.threshold > 0);
  needed(Number.isSafeInteger(bins.bit_length) && bins.bit_length >= 1 && bins.bit_length <= 32);
  return bins;
}

const suffixLength = (bins) => (2 ** bins.bit_length - 1).toString(16).length;

async function binOf(targets, path, crypto) {
  const bins = binsOf(targets);
  const digest = await crypto.sha256(utf8(path));
  const place = new DataView(digest.buffer, digest.byteOffset).getUint32(0) >>> (32 - bins.bit_length);
  return `${bins.name_prefix}-${place.toString(16).padStart(suffixLength(bins), "0")}`;
}

function checkFile(meta, digest, data) {
  const hashes = isObject(meta) && isObject(meta.hashes) ? meta.hashes : {};
  needed(hashes.sha256 === digest && Object.keys(hashes).length === 1, "tuf.hash");
  needed(meta.length === undefined || meta.length === utf8(data).length, "tuf.hash");
}

// Member files and rights pages --------------------------------------------------------------------------------------

const NAME = text(/^[^\p{C}\p{Zl}\p{Zp}]{1,500}$/u);
const NAMES = shape({ kk: NAME, ru: NAME, en: NAME });
const ADDRESS = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]):[1-9][0-9]{0,4}$/;
const MAX_NODE_KEYS = 2;
const MAX_LIFETIME = 366 * 24 * 3600 * 1000;
const MEMBER_FILE = shape({
  type: oneOf("qaztech-member-file 1"),
  version,
  member: identifier(3),
  lineage: text(HEX),
  key: text(HASH),
  key_history: list(shape({ from: text(HASH), to: text(HASH), version, signature: text() }), { max: 256 }),
  names: NAMES,
  issued: time,
  expires: time,
  nodes: list(shape({ id: identifier(4), address: text(ADDRESS), tls: text(HASH) }), { max: 64 }),
  logs: list(
    shape({
      origin: text(ORIGIN),
      node: identifier(4),
      vkeys: list(text(), { min: 1, max: 2 }),
      from: time,
      until: nullOr(time),
      closed: nullOr(shape({ size: whole(0), root: text(HASH) })),
      continues: nullOr(text(ORIGIN)),
    }),
    { max: 1024 },
  ),
  subsystems: list(shape({ code: text(), names: NAMES }), { max: 1024 }),
  services: list(
    shape({
      id: identifier(5),
      type: oneOf("REST", "OPENAPI"),
      names: NAMES,
      disabled: nullOr(text(/^[^\p{C}]{1,500}$/u)),
      rights: list(shape({ first: text(), sha256: text(HEX), length: whole(1, MAX_PAGE) }), { max: 4096 }),
    }),
    { max: 4096 },
  ),
});
const ENVELOPE = shape(
  {
    payload: text(),
    payloadType: oneOf(ENVELOPE_TYPE),
    signatures: list(shape({ keyid: text(), sig: text() }, { anyOrder: true }), { min: 1, max: 16 }),
  },
  { anyOrder: true },
);

/** The member file in a signed envelope, proven to come from the holder of its lineage's key. */
async function readMemberFile(data, crypto) {
  const reason = "member-file.form";
  const envelope = parseJson(data, reason);
  ENVELOPE(envelope, reason);
  const payload = fromBase64(envelope.payload, reason);
  const file = parseJson(fromUtf8(payload, reason), reason, { compact: true });
  MEMBER_FILE(file, reason);
  checkMemberFile(file, reason);
  const key = fromBase64(file.key, reason, 32);
  const message = concat(utf8(`DSSEv1 ${ENVELOPE_TYPE.length} ${ENVELOPE_TYPE} ${payload.length} `), payload);
  let signed = false;
  for (const { sig } of envelope.signatures) {
    signed ||= await crypto.ed25519(key, fromBase64(sig, reason), message);
  }
  if (!signed) throw new Bad("member-file.signature", { member: file.member });
  await checkLineage(file, crypto);
  for (const log of file.logs) log.keys = await logKeys(log.origin, log.vkeys, crypto, reason);
  return file;
}

function checkMemberFile(file, reason) {
  const unique = (values) => new Set(values).size === values.length;
  const subsystems = file.subsystems.map((line) => `${file.member}/${line.code}`);
  const fine =
    file.expires > file.issued &&
    file.expires - file.issued <= MAX_LIFETIME &&
    file.nodes.every(({ id }) => file.nodes.filter((node) => node.id === id).length <= MAX_NODE_KEYS) &&
    unique(file.nodes.map((node) => node.tls)) &&
    unique(file.logs.map((log) => log.origin)) &&
    file.logs.every((log) => (log.until === null || log.until >= log.from) && log.continues !== log.origin) &&
    unique(subsystems) &&
    subsystems.every((id) => isIdentifier(id, 4)) &&
    unique(file.services.map((service) => service.id)) &&
    file.services.every((service) => subsystems.includes(service.id.split("/").slice(0, 4).join("/"))) &&
    file.services.every(({ rights }) =>
      rights.every(({ first }, i) => (i ? isIdentifier(first, 4) && compare(rights[i - 1].first, first) < 0 : first === "")),
    );
  if (!fine) throw new Bad(reason);
}

/** The chain of keys from the lineage to the one that signed, each change signed with the key before it. */
async function checkLineage(file, crypto) {
  const reason = "member-file.lineage";
  const bad = () => new Bad(reason, { member: file.member });
  const keys = [file.key_history[0]?.from ?? file.key];
  let last = 0;
  for (const change of file.key_history) {
    const statement = utf8(
      `qaztech-member-key 1\nmember ${file.member}\nversion ${change.version}\nfrom ${change.from}\nto ${change.to}\n`,
    );
    if (change.from !== keys.at(-1) || keys.includes(change.to)) throw bad();
    if (change.version <= last || change.version > file.version) throw bad();
    const signature = fromBase64(change.signature, reason, 64);
    if (!(await crypto.ed25519(fromBase64(change.from, reason, 32), signature, statement))) throw bad();
    keys.push(change.to);
    last = change.version;
  }
  if (keys.at(-1) !== file.key || hex(await crypto.sha256(fromBase64(keys[0], reason, 32))) !== file.lineage) throw bad();
}

const CLIENT = shape({ client: identifier(4), lineage: text(HEX) });
const endpoint = (value, reason) => {
  if (typeof value !== "string" || !isEndpoint(value)) throw new Bad(reason);
};
const RIGHT = shape({
  client: nullOr(identifier(4)),
  group: nullOr(text()),
  lineage: nullOr(text(HEX)),
  endpoints: list(endpoint, { min: 1, max: 64 }),
  until: nullOr(time),
});
const PAGE = shape({
  type: oneOf("qaztech-rights-page 1"),
  service: identifier(5),
  version,
  groups: (value, reason) => {
    if (!isObject(value)) throw new Bad(reason);
    const names = namesOf(value);
    if (names.some((name, i) => i && compare(names[i - 1], name) >= 0)) throw new Bad(reason);
    for (const name of names) list(CLIENT)(value[name], reason);
  },
  rights: list(RIGHT),
});

/** A rights page: `{service, grants: [{client, lineage, endpoints, until}]}`. */
function readRightsPage(data) {
  const reason = "rights-page.form";
  if (utf8(data).length > MAX_PAGE) throw new Bad(reason);
  const page = parseJson(data, reason, { compact: true });
  PAGE(page, reason);
  const grants = page.rights.flatMap(({ client, group, lineage, endpoints, until }) => {
    const direct = client !== null && lineage !== null && group === null;
    const byGroup = client === null && lineage === null && namesOf(page.groups).includes(group);
    if (!direct && !byGroup) throw new Bad(reason);
    const clients = direct ? [{ client, lineage }] : page.groups[group];
    return clients.map((one) => ({ client: one.client, lineage: one.lineage, endpoints, until }));
  });
  return { service: page.service, grants };
}

// The excerpt --------------------------------------------------------------------------------------------------------

const hashes = (value, reason) => {
  if (!isObject(value)) throw new Bad(reason);
  for (const name of Object.keys(value)) text(HEX)(value[name], reason);
};
const blobTexts = (value, reason) => {
  if (!isObject(value)) throw new Bad(reason);
  for (const name of Object.keys(value)) text()(value[name], reason);
};
const PART = shape(
  {
    version,
    sha256: text(HEX),
    roots: list(text(HEX)),
    targets: text(HEX),
    bins: hashes,
    files: hashes,
    proof: nullOr(text()),
  },
  { anyOrder: true },
);
const EXCERPT = shape(
  { format: oneOf("qaztech-excerpt 1"), snapshots: list(PART, { min: 1, max: 8 }), blobs: blobTexts },
  { anyOrder: true },
);

/** Check the form of an excerpt and the hash of every piece; throws `Bad`. */
export async function checkExcerptForm(excerpt, crypto) {
  const reason = "excerpt.form";
  EXCERPT(excerpt, reason);
  if (utf8(JSON.stringify(excerpt)).length > MAX_EXCERPT) throw new Bad(reason);
  const named = new Set();
  for (const part of excerpt.snapshots) {
    for (const digest of [part.sha256, ...part.roots, part.targets, ...Object.values(part.bins), ...Object.values(part.files)]) {
      named.add(digest);
    }
  }
  const blobs = Object.keys(excerpt.blobs);
  if (blobs.length !== named.size || !blobs.every((digest) => named.has(digest))) throw new Bad(reason);
  if (new Set(excerpt.snapshots.map((part) => part.sha256)).size !== excerpt.snapshots.length) throw new Bad(reason);
  for (const digest of blobs) {
    if (hex(await crypto.sha256(utf8(excerpt.blobs[digest]))) !== digest) throw new Bad("excerpt.hash", { digest: digest.slice(0, 12) });
  }
}

/**
 * One snapshot of an excerpt, checked from the anchor in steps: `done(step, data)` is called for each that holds, in the
 * order of excerpt.md; the first that does not throws. Returns the configuration as far as the excerpt goes.
 */
export async function checkSnapshot(part, blobs, anchor, crypto, done) {
  let root = anchor.root;
  for (const digest of part.roots) {
    const next = readMetadata(blobs[digest], "root");
    await checkSigned(next, "root", root.signed, crypto);
    await checkSigned(next, "root", next.signed, crypto);
    needed(next.signed.version === root.signed.version + 1);
    root = next;
  }
  done("roots", { version: root.signed.version });

  const snapshot = readMetadata(blobs[part.sha256], "snapshot");
  await checkSigned(snapshot, "snapshot", root.signed, crypto);
  needed(snapshot.signed.version === part.version && isObject(snapshot.signed.meta), "tuf.hash");
  done("snapshot", { version: part.version });

  const role = async (name, digest, delegator) => {
    const meta = snapshot.signed.meta[`${name}.json`];
    checkFile(meta, digest, blobs[digest]);
    const metadata = readMetadata(blobs[digest], "targets");
    await checkSigned(metadata, name, delegator, crypto);
    needed(metadata.signed.version === meta.version && isObject(metadata.signed.targets), "tuf.hash");
    return metadata;
  };
  const targets = await role("targets", part.targets, root.signed);
  done("targets", { version: targets.signed.version });

  const places = new Map();
  for (const path of Object.keys(part.files)) places.set(path, await binOf(targets.signed, path, crypto));
  const names = Object.keys(part.bins);
  needed(new Set(places.values()).size === names.length && [...places.values()].every((name) => names.includes(name)), "excerpt.form");
  const bins = {};
  for (const name of names) bins[name] = await role(name, part.bins[name], targets.signed);
  done("bins", { count: names.length });

  const members = [];
  const pages = new Map();
  for (const [path, digest] of Object.entries(part.files)) {
    checkFile(bins[places.get(path)].signed.targets[path], digest, blobs[digest]);
    if (path.startsWith("rights/")) {
      const page = readRightsPage(blobs[digest]);
      pages.set(digest, page);
      done("page", { service: page.service });
    } else {
      const file = await readMemberFile(blobs[digest], crypto);
      const [, memberClass, code] = file.member.split("/");
      needed(path === `members/${plain(memberClass)}/${plain(code)}.json`, "tuf.hash");
      needed(file.member.startsWith(`${anchor.instance}/`), "tuf.hash");
      members.push(file);
      done("member", { member: file.member, version: file.version });
    }
  }

  const witnessed = await checkInRegistryLog(part, anchor, crypto);
  done("registry-log", { time: Number(witnessed.time) * 1000, names: [...witnessed.times.keys()].join(", ") });
  if (witnessed.unchecked.length) done("ml-dsa", { names: witnessed.unchecked.join(", ") }, "unchecked", "ml-dsa");

  const parts = [root, snapshot, targets, ...Object.values(bins), ...members];
  return configuration(members, pages, Math.min(...parts.map((one) => one.expires)));
}

// A target path escapes more than an identifier does.
const plain = (part) => part.replace(/['()+,=?!*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

async function checkInRegistryLog(part, anchor, crypto) {
  if (part.proof === null) throw new Bad("excerpt.unproven");
  const { index, hashes: path, checkpoint: note } = parseProof(part.proof);
  const checkpoint = parseCheckpoint(note);
  checkLines(checkpoint, anchor.keys, anchor.policy);
  await checkLogSignature(checkpoint, anchor.keys, crypto);
  const hybrid = presentMlDsa(checkpoint, anchor.keys);
  const witnessed = await checkCosignatures(checkpoint, anchor.policy, crypto);
  const leaf = await leafHash(utf8(`qaztech-snapshot 1\nversion ${part.version}\nsha256 ${part.sha256}\n`), crypto);
  await checkInclusion({ leaf, index, size: checkpoint.size, hashes: path, root: checkpoint.root }, crypto);
  const own = `…${checkpoint.origin.slice(-20, -12)}…`;
  return hybrid ? { ...witnessed, unchecked: [own, ...witnessed.unchecked] } : witnessed;
}

// What a record is judged by -------------------------------------------------------------------------------------------

/** Members, logs and rights by name. A log is its node's owner's; a member it serves must say the same of it. */
function configuration(members, pages, expires) {
  const owned = new Map();
  for (const file of members) {
    for (const log of file.logs) {
      if (memberOf(log.node) === file.member && !owned.has(log.origin)) owned.set(log.origin, log);
    }
  }
  const claims = new Map();
  for (const file of members) {
    for (const log of file.logs) {
      const own = owned.get(log.origin);
      if (own && own.node === log.node && own.vkeys.join() === log.vkeys.join()) claims.set(`${log.origin} ${file.member}`, log);
    }
  }
  const byMember = new Map(members.map((file) => [file.member, file]));
  const within = (line, at) => line.from <= at && (line.until === null || at < line.until);
  return {
    expires,
    member: (id) => byMember.get(id),
    /** A log's keys, and the member whose node keeps it. */
    log: (origin) => owned.get(origin),
    speaksFor(origin, member, at) {
      const claim = claims.get(`${origin} ${member}`);
      return Boolean(claim) && within(owned.get(origin), at) && within(claim, at);
    },
    /** Whether a right for this client that holds at this time has exactly the endpoint that the record names. */
    grants({ client, service, method, endpoint }, at) {
      const line = byMember.get(memberOf(service))?.services.find((one) => one.id === service);
      const reference = line?.rights.findLast((page) => compare(page.first, client) <= 0);
      const page = reference && pages.get(reference.sha256);
      const caller = byMember.get(memberOf(client));
      const listed = caller?.subsystems.some(({ code }) => `${caller.member}/${code}` === client);
      if (!page || page.service !== service || line.disabled !== null || !listed) return false;
      return page.grants.some(
        (grant) =>
          grant.client === client &&
          grant.lineage === caller.lineage &&
          grant.endpoints.includes(endpoint) &&
          ["*", method].includes(endpoint.split(" ")[0]) &&
          (grant.until === null || at < grant.until),
      );
    },
  };
}

