// The console's page of one exchange: fetches its receipt and the anchor, and checks here, in the reader's browser.

import { chooseCrypto } from "./crypto.js";
import { showReceipt } from "./receipt-view.js";
import { h, translator } from "./texts.js";

const place = document.getElementById("receipt");
const { texts } = JSON.parse(document.getElementById("data").textContent);
const language = document.documentElement.lang;
const t = translator(texts[language]);
const { message, waiting } = place.dataset;

async function fetched(url) {
  const answer = await fetch(url, { headers: { Accept: "application/json" } });
  if (answer.ok) return answer;
  throw new Error(answer.statusText || String(answer.status));
}

try {
  place.replaceChildren(h("p", { class: "waiting", role: "status" }, waiting));
  const [receipt, anchor] = await Promise.all([
    fetched(`/console/exchanges/${encodeURIComponent(message)}/receipt.json`).then((answer) => answer.text()),
    fetched("/console/anchor.json").then((answer) => answer.arrayBuffer()),
  ]);
  showReceipt(place, { text: receipt, anchor: new Uint8Array(anchor), texts, language, crypto: await chooseCrypto() });
} catch (error) {
  place.replaceChildren(h("p", { role: "alert" }, t("portal", "receipt-failed", { reason: error.message })));
}
