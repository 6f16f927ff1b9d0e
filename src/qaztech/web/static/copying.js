// Buttons that copy what stands beside them; without JavaScript they are not there.

async function copy(place) {
  try {
    await navigator.clipboard.writeText(place.textContent);
  } catch {
    // Where the browser has no clipboard for pages without TLS: what is selected can still be copied.
    const range = document.createRange();
    range.selectNodeContents(place);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
  }
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await copy(document.getElementById(button.dataset.copy));
    button.textContent = button.dataset.copied;
    setTimeout(() => (button.textContent = label), 2000);
  });
}
