// The portal's page for any receipt: the file is read and checked here, in the visitor's browser, and goes nowhere.

import { chooseCrypto } from "./crypto.js";
import { showReceipt } from "./receipt-view.js";

const MAX_FILE = 4 * 1024 * 1024;
const { texts, words } = JSON.parse(document.getElementById("data").textContent);
const drop = document.getElementById("drop");
const input = document.getElementById("file");
const said = document.getElementById("said");
const place = document.getElementById("receipt");

function say(text) {
  said.textContent = text;
  said.hidden = text === "";
}

async function take(file) {
  if (!file) return;
  say("");
  place.replaceChildren();
  if (file.size > MAX_FILE) return say(words["too-large"]);
  try {
    const [text, anchor] = await Promise.all([file.text(), fetch("/anchor.json").then((answer) => answer.arrayBuffer())]);
    const language = document.documentElement.lang;
    showReceipt(place, { text, anchor: new Uint8Array(anchor), texts, language, crypto: await chooseCrypto() });
    place.scrollIntoView({ block: "start" });
  } catch (error) {
    say(words.failed.replace("{reason}", error.message));
  }
}

input.addEventListener("change", () => take(input.files[0]));
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
}
document.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.hidden = false;
