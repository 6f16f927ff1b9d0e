// Checks receipts with the page's own module, outside a browser: one JSON object a line in, one a line out.

import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";

const [folder, which] = process.argv.slice(2);
const { verifyReceipt } = await import(`${folder}/verify.js`);
const { parseJson } = await import(`${folder}/strict.js`);
const { chooseCrypto } = await import(`${folder}/crypto.js`);
const crypto = await chooseCrypto(which === "vendored" ? null : webcrypto.subtle);
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

for await (const line of createInterface({ input: process.stdin })) {
  const { receipt, anchor, bodies } = JSON.parse(line);
  const given = Object.fromEntries(Object.entries(bodies).map(([role, body]) => [role, bytes(body)]));
  let found;
  try {
    const parsed = parseJson(receipt, "json");
    const { checks, state, anchor: read } = await verifyReceipt(parsed, bytes(anchor), crypto, given);
    found = { native: crypto.native, state, checks, fingerprint: read.fingerprint };
  } catch (error) {
    found = { checks: [{ check: "form", at: "receipt", verdict: "bad", reason: error.reason ?? String(error) }] };
  }
  process.stdout.write(`${JSON.stringify(found, (_, value) => (typeof value === "bigint" ? String(value) : value))}\n`);
}
