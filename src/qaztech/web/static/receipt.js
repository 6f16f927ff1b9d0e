// The HTML receipt: one file, read from disk. Everything it needs stands in it; nothing is fetched.

import { chooseCrypto } from "./crypto.js";
import { showReceipt } from "./receipt-view.js";
import { fromBase64 } from "./strict.js";

const data = (id) => document.getElementById(id).textContent;
const texts = JSON.parse(data("texts"));

const view = showReceipt(document.querySelector("main"), {
  text: data("receipt"),
  anchor: fromBase64(data("anchor").trim(), "anchor.form"),
  texts,
  language: document.documentElement.lang,
  crypto: await chooseCrypto(),
});

function speak(language) {
  document.documentElement.lang = language;
  document.title = texts[language].receipt.title;
  document.querySelector("h1").textContent = texts[language].receipt.title;
  for (const button of document.querySelectorAll("button[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}

for (const button of document.querySelectorAll("button[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    view.setLanguage(button.dataset.language);
  });
}
speak(document.documentElement.lang);
