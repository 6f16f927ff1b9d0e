// Passkeys in the browser: signing in with one, and adding one to an account. Where the browser has none, nothing shows.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// By hand: not every browser has PublicKeyCredential.parseRequestOptionsFromJSON and toJSON yet.
function readOptions(options) {
  const list = (found) => found?.map((one) => ({ ...one, id: bytes(one.id) }));
  const read = { ...options, challenge: bytes(options.challenge) };
  if (options.user) read.user = { ...options.user, id: bytes(options.user.id) };
  if (options.excludeCredentials) read.excludeCredentials = list(options.excludeCredentials);
  if (options.allowCredentials) read.allowCredentials = list(options.allowCredentials);
  return read;
}

function writeCredential(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  const id = text(credential.rawId);
  return { id, rawId: id, type: credential.type, response, clientExtensionResults: {} };
}

async function post(url, csrf, body) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  const answer = await fetch(url, { method: "POST", headers, body: body && JSON.stringify(body) });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(found.detail), { code: found.code });
  return found;
}

function say(problems, error) {
  const place = document.getElementById("said");
  const line = document.createElement("p");
  line.className = "said bad";
  line.setAttribute("role", "alert");
  line.textContent = problems[error.code ?? "passkey.cancelled"] ?? problems.other;
  place.replaceChildren(line);
}

async function whileDisabled(button, work, problems) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    say(problems, error);
  } finally {
    button.disabled = false;
  }
}

const door = document.getElementById("passkey");
const adding = document.getElementById("add-passkey");

if (window.PublicKeyCredential && door) {
  const { csrf, next, problems } = door.dataset;
  const button = door.querySelector("button");
  door.hidden = false;
  const enter = async () => {
    const options = await post("/api/session/passkey/begin", csrf);
    const credential = await navigator.credentials.get({ publicKey: readOptions(options) });
    const url = `/api/session/passkey/finish?next=${encodeURIComponent(next)}`;
    const found = await post(url, csrf, { credential: writeCredential(credential) });
    location.assign(found.next);
  };
  button.addEventListener("click", () => whileDisabled(button, enter, JSON.parse(problems)));
}

if (window.PublicKeyCredential && adding) {
  const { csrf, said, problems } = adding.dataset;
  adding.hidden = false;
  const add = async () => {
    const options = await post("/account/passkeys/begin", csrf);
    const credential = await navigator.credentials.create({ publicKey: readOptions(options) });
    const name = adding.elements.namedItem("name").value;
    await post("/account/passkeys/finish", csrf, { name, credential: writeCredential(credential) });
    location.assign(said);
  };
  adding.addEventListener("submit", (event) => {
    event.preventDefault();
    whileDisabled(adding.querySelector("button"), add, JSON.parse(problems));
  });
}
