// SHA-256 and Ed25519 for the checks: the browser's own WebCrypto where it offers them, else the vendored code.
// Both are asked the same way, so nothing else knows which one answers.

import { hashes, verify as verifySlowly } from "./vendor/noble-ed25519/index.js";
import { sha256 as sha256Slowly, sha512 } from "./vendor/noble-hashes/sha2.js";

hashes.sha512 = sha512;

// RFC 8032, 7.1, TEST 2: an offer is believed once it answers this right, and a changed message wrong.
const PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const MESSAGE = "72";
const SIGNATURE =
  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

const VENDORED = {
  native: false,
  sha256: async (data) => sha256Slowly(data),
  ed25519: async (key, signature, message) => {
    try {
      return verifySlowly(signature, message, key, { zip215: false });
    } catch {
      return false;
    }
  },
};

function fromHex(text) {
  return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
}

function webCrypto(subtle) {
  const keys = new Map();
  const imported = (key) => {
    const name = key.join();
    if (!keys.has(name)) keys.set(name, subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]));
    return keys.get(name);
  };
  return {
    native: true,
    sha256: async (data) => new Uint8Array(await subtle.digest("SHA-256", data)),
    ed25519: async (key, signature, message) => {
      if (key.length !== 32 || signature.length !== 64) return false;
      try {
        return await subtle.verify({ name: "Ed25519" }, await imported(key), signature, message);
      } catch {
        return false; // a key that is no point of the curve
      }
    },
  };
}

/** The two primitives: `{native, sha256(data), ed25519(key, signature, message)}`. Give `null` to use vendored code only. */
export async function chooseCrypto(subtle = globalThis.crypto?.subtle) {
  if (!subtle) return VENDORED;
  const offered = webCrypto(subtle);
  try {
    const [key, message, signature] = [PUBLIC, MESSAGE, SIGNATURE].map(fromHex);
    const right = await offered.ed25519(key, signature, message);
    const wrong = await offered.ed25519(key, signature, fromHex("73"));
    await offered.sha256(message);
    return right && !wrong ? offered : { ...VENDORED, sha256: offered.sha256 };
  } catch {
    return VENDORED;
  }
}
