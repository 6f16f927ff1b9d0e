// Records, identifiers and rights, as docs/formats/record.md and rights-page.md have them. Pure reading.

import { Bad, fromUtf8, utf8 } from "./strict.js";

const MAX_RECORD = 16384;
const HEADER = "qaztech-record 1";
const METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
const HASH = "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=";
const NUMBER = "(?:0|[1-9][0-9]{0,18})";

const FIELDS = {
  request:
    "message from to client service method endpoint snapshot time expires attempt size path query headers body",
  response: "message from to client service request snapshot time status size headers body",
  "request-tail": "message from to head time size body outcome",
  "response-tail": "message from to head time size body outcome",
  refused: "message from to client service request snapshot time code",
  "no-answer": "message from to client service request time code",
  aborted: "message from to client service request time code",
};

const is = (pattern) => {
  const whole = new RegExp(`^(?:${pattern})$`, "u");
  return (value) => whole.test(value);
};

const hashAndIndex = is(`${HASH} ${NUMBER}`);
const origin = is("[a-z0-9.-]{1,100}/log/[0-9a-f]{20}");

const FORMS = {
  message: is("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
  from: origin,
  to: origin,
  client: (value) => isIdentifier(value, 4),
  service: (value) => isIdentifier(value, 5),
  method: (value) => METHODS.includes(value),
  endpoint: (value) => value === "-" || isEndpoint(value),
  snapshot: is("[1-9][0-9]{0,18} [0-9a-f]{64}"),
  time: is(NUMBER),
  expires: is(NUMBER),
  attempt: is(NUMBER),
  size: is(`-|${NUMBER}`),
  path: is(HASH),
  query: is(HASH),
  headers: is(HASH),
  body: is(`-|${HASH}`),
  request: hashAndIndex,
  head: hashAndIndex,
  status: is("[1-5][0-9]{2}"),
  code: is("[a-z0-9_-]{1,64}(?:\\.[a-z0-9_-]{1,64}){0,7}"),
  outcome: is("complete|aborted"),
};

/** Whether this is an identifier of so many parts, in its one spelling. */
export function isIdentifier(text, parts) {
  const given = text.split("/");
  return given.length === parts && given.every(isPart);
}

function isPart(part) {
  const decoded = decodePart(part);
  return decoded !== null && encodePart(decoded) === part;
}

/** What an identifier part says, for people; null if it is not well-formed. */
export function decodePart(part) {
  let decoded;
  try {
    decoded = decodeURIComponent(part);
  } catch {
    return null;
  }
  const length = Array.from(decoded).length;
  // eslint-disable-next-line no-control-regex
  if (!length || length > 255 || /[\x00-\x1f\x7f-\x9f%:;/\\\u200b\ufeff\u2028\u2029]/.test(decoded)) return null;
  return decoded === "." || decoded === ".." ? null : decoded;
}

function encodePart(part) {
  return Array.from(utf8(part), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9'()+,\-.=?!*~_]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

/** Whether this is `METHOD /pattern`. */
export function isEndpoint(text) {
  const [method, ...rest] = text.split(" ");
  const path = rest.join(" ");
  if (!rest.length || (method !== "*" && !METHODS.includes(method))) return false;
  const segments = path.split("/");
  if (!/^\/[!-~]*$/.test(path) || path.includes("?")) return false;
  if (segments.some((segment) => segment.includes("*") && segment !== "*" && segment !== "**")) return false;
  return segments.filter((segment) => segment === "**").length <= 2;
}

const UNRESERVED = /[A-Za-z0-9\-._~]/;
const normal = (path) =>
  path.replace(/%([0-9A-Fa-f]{2})/g, (whole, digits) => {
    const character = String.fromCharCode(parseInt(digits, 16));
    return UNRESERVED.test(character) ? character : whole.toUpperCase();
  });

/** Whether a path has a `.` or `..` segment in any reading: escaped separators, `;parameters`, double escapes. */
function climbs(path) {
  const plain = path.replaceAll("%25", "%").replace(/%2e/gi, ".");
  return plain.split(/\/|%2F|%5C|\\/i).some((segment) => [".", ".."].includes(segment.split(";")[0]));
}

/** The path as a system may read it that decodes escaped separators and takes several in a row for one. */
const merged = (path) => path.replaceAll("%25", "%").replace(/(?:\/|%2F|%5C|\\)+/gi, "/");

/** Whether a call of `method` on `path` falls under an endpoint, in either reading of the path. */
export function covers(endpoint, method, path) {
  const [wanted, pattern] = endpoint.split(" ");
  const called = normal(path);
  if (!["*", method].includes(wanted) || climbs(called)) return false;
  const under = (given, whole) => {
    const segments = given.split("/").slice(1).map((segment) => (segment.startsWith("*") ? segment : normal(segment)));
    return matches(segments, whole.split("/").slice(1));
  };
  return under(pattern, called) && under(merged(normal(pattern)), merged(called));
}

function matches([first, ...others], path) {
  if (first === undefined) return !path.length;
  if (first === "**") return path.some((_, i) => matches(others, path.slice(i))) || matches(others, []);
  return path.length > 0 && (first === "*" || first === path[0]) && matches(others, path.slice(1));
}

/** The record in these bytes: `{kind, fields, data}`; throws `Bad` for anything no node would have written. */
export function parseRecord(data) {
  if (data.length > MAX_RECORD) throw new Bad("record.form");
  const lines = fromUtf8(data, "record.form").split("\n");
  const kind = lines[1]?.startsWith("kind ") ? lines[1].slice(5) : "";
  if (lines[0] !== HEADER || lines.at(-1) !== "" || !Object.hasOwn(FIELDS, kind)) throw new Bad("record.form");
  const names = FIELDS[kind].split(" ");
  if (lines.length !== names.length + 3) throw new Bad("record.fields", { kind });
  const fields = {};
  names.forEach((name, i) => {
    const line = lines[i + 2];
    const value = line.slice(name.length + 1);
    if (!line.startsWith(`${name} `) || !FORMS[name](value)) throw new Bad("record.field", { field: name });
    fields[name] = value;
  });
  const streamed = [fields.size, fields.body].filter((value) => value === "-").length;
  if (streamed === 1 || (streamed && kind.endsWith("-tail"))) throw new Bad("record.field", { field: "size" });
  return { kind, fields, data };
}

/** The role under which a receipt shows a record of this kind. */
export const roleOf = (kind) => (kind === "request" || kind === "request-tail" ? "request" : "response");

/** A field that binds to another record: its leaf hash (base64) and index. */
export function binding(value) {
  const [digest, index] = value.split(" ");
  return { digest, index: BigInt(index) };
}

/** The member of a subsystem or service identifier. */
export const memberOf = (identifier) => identifier.split("/").slice(0, 3).join("/");
