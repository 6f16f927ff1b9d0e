// Strict reading of what a receipt is made of: bytes, base64, JSON. Whatever has two spellings or two meanings is refused,
// so that this page and any other verifier see the same thing. Everything here throws `Bad` and nothing else.

/** Why a check did not pass: `reason` is a key of the page's texts, `data` fills its places. */
export class Bad extends Error {
  constructor(reason, data = {}) {
    super(reason);
    this.reason = reason;
    this.data = data;
  }
}

/** That something cannot be checked here, which is not the same as wrong. */
export class Unchecked extends Error {
  constructor(reason, data = {}) {
    super(reason);
    this.reason = reason;
    this.data = data;
  }
}

const ENCODER = new TextEncoder();

export const utf8 = (text) => ENCODER.encode(text);

/** Text of UTF-8 bytes. A byte order mark stays in, as it would for anyone else. */
export function fromUtf8(bytes, reason) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Bad(reason);
  }
}

export function concat(...parts) {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function base64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 4096) binary += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return btoa(binary);
}

/** Bytes of standard, padded, canonical base64; of this length, if one is given. */
export function fromBase64(text, reason, length = null) {
  if (typeof text !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4) throw new Bad(reason);
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  if (base64(bytes) !== text || (length !== null && bytes.length !== length)) throw new Bad(reason);
  return bytes;
}

/** By code point, as Python sorts; JavaScript itself compares UTF-16 units. */
export function compare(a, b) {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = left[i].codePointAt(0) - right[i].codePointAt(0);
    if (difference) return difference;
  }
  return left.length - right.length;
}

const NAMES = Symbol("names in the order of the text");
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const MAX_DEPTH = 64;

/** The names of an object that `parseJson` made, in the order in which they stood (JavaScript moves numbers forward). */
export const namesOf = (object) => object[NAMES];

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/**
 * JSON without doubled names, with whole numbers only. With `compact` the text must be the one spelling of its content:
 * no spaces, and only the escapes that must be.
 */
export function parseJson(text, reason, { compact = false } = {}) {
  let at = 0;
  const fail = () => {
    throw new Bad(reason);
  };
  const space = () => {
    if (compact) return;
    while (at < text.length && " \t\n\r".includes(text[at])) at++;
  };
  const take = (character) => {
    if (text[at] !== character) fail();
    at++;
  };

  function string() {
    take('"');
    let out = "";
    const begin = at;
    for (;;) {
      const character = text[at++];
      if (character === undefined || character < " ") fail();
      if (character === '"') break;
      if (character !== "\\") out += character;
      else if (text[at] === "u") {
        const digits = text.slice(at + 1, at + 5);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) fail();
        out += String.fromCharCode(parseInt(digits, 16));
        at += 5;
      } else out += ESCAPES[text[at++]] ?? fail();
    }
    if (/\p{Surrogate}/u.test(out)) fail(); // half a character
    if (compact && JSON.stringify(out) !== `"${text.slice(begin, at - 1)}"`) fail();
    return out;
  }

  function number() {
    const found = /^-?(?:0|[1-9][0-9]*)(?![0-9.eE])/.exec(text.slice(at, at + 24));
    if (!found || found[0] === "-0" || !Number.isSafeInteger(Number(found[0]))) fail();
    at += found[0].length;
    return Number(found[0]);
  }

  function list(depth) {
    const items = [];
    take("[");
    space();
    if (text[at] === "]") {
      at++;
      return items;
    }
    for (;;) {
      items.push(value(depth));
      if (text[at] === "]") break;
      take(",");
    }
    at++;
    return items;
  }

  function object(depth) {
    const members = Object.create(null);
    const names = [];
    take("{");
    space();
    if (text[at] === "}") at++;
    else {
      for (;;) {
        space();
        const name = string();
        if (name in members) fail();
        space();
        take(":");
        members[name] = value(depth);
        names.push(name);
        if (text[at] === "}") break;
        take(",");
      }
      at++;
    }
    Object.defineProperty(members, NAMES, { value: names });
    return members;
  }

  function value(depth) {
    if (depth > MAX_DEPTH) fail();
    space();
    let found;
    const word = { t: "true", f: "false", n: "null" }[text[at]];
    if (text[at] === "{") found = object(depth + 1);
    else if (text[at] === "[") found = list(depth + 1);
    else if (text[at] === '"') found = string();
    else if (word) {
      if (text.slice(at, at + word.length) !== word) fail();
      at += word.length;
      found = { true: true, false: false, null: null }[word];
    } else found = number();
    space();
    return found;
  }

  const found = value(0);
  if (at !== text.length) fail();
  return found;
}

/** The bytes that are signed in The Update Framework: OLPC canonical JSON. */
export function canonicalJson(value) {
  if (typeof value === "string") return `"${value.replace(/[\\"]/g, "\\$&")}"`;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (!isObject(value)) return String(value);
  const names = Object.keys(value).sort(compare);
  return `{${names.map((name) => `${canonicalJson(name)}:${canonicalJson(value[name])}`).join(",")}}`;
}

// Shapes: functions that throw unless a value is as it must be.

/** An object with exactly these members; in this order, unless `anyOrder`. */
export function shape(members, { anyOrder = false } = {}) {
  const expected = Object.keys(members);
  return (value, reason) => {
    if (!isObject(value)) throw new Bad(reason);
    const names = namesOf(value) ?? Object.keys(value);
    const given = anyOrder ? expected.filter((name) => name in value) : names;
    if (names.length !== expected.length || given.join() !== expected.join()) throw new Bad(reason);
    for (const name of expected) members[name](value[name], reason);
  };
}

export const list = (item, { min = 0, max = Infinity } = {}) => (value, reason) => {
  if (!Array.isArray(value) || value.length < min || value.length > max) throw new Bad(reason);
  for (const entry of value) item(entry, reason);
};

export const text = (pattern = null) => (value, reason) => {
  if (typeof value !== "string" || (pattern && !pattern.test(value))) throw new Bad(reason);
};

export const whole = (min, max = Number.MAX_SAFE_INTEGER) => (value, reason) => {
  if (!Number.isSafeInteger(value) || value < min || value > max) throw new Bad(reason);
};

export const oneOf = (...values) => (value, reason) => {
  if (!values.includes(value)) throw new Bad(reason);
};

export const nullOr = (inner) => (value, reason) => {
  if (value !== null) inner(value, reason);
};
