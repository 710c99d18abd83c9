// Passkeys: the browser's answer to a challenge goes into its form as text. Without a script the pages work by code.

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

const named = (list) => (list ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

async function answer(kind, { publicKey }) {
  const asked = { ...publicKey, challenge: bytes(publicKey.challenge) };
  if (kind === "create") {
    asked.user = { ...asked.user, id: bytes(asked.user.id) };
    asked.excludeCredentials = named(asked.excludeCredentials);
    return navigator.credentials.create({ publicKey: asked });
  }
  asked.allowCredentials = named(asked.allowCredentials);
  return navigator.credentials.get({ publicKey: asked });
}

function written(credential) {
  const { response } = credential;
  const said = { clientDataJSON: text(response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[part]) said[part] = text(response[part]);
  }
  if (response.getTransports) said.transports = response.getTransports();
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: said,
  });
}

// Browsers make passkeys for names only, so a site that is opened by a number has none.
const possible = window.PublicKeyCredential !== undefined && !/^[\d.]+$|^\[/.test(location.hostname);

for (const form of possible ? document.querySelectorAll("form[data-passkey]") : []) {
  const { passkey, options, optionsFrom } = form.dataset;
  if (!options && !optionsFrom) continue;
  const says = form.querySelector("[data-passkey-says]");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    says.textContent = "";
    try {
      const asked = options
        ? JSON.parse(options)
        : await (await fetch(optionsFrom, { headers: { Accept: "application/json" } })).json();
      const field = form.elements.credential ?? form.appendChild(document.createElement("input"));
      field.type = "hidden";
      field.name = "credential";
      field.value = written(await answer(passkey, asked));
      form.submit();
    } catch (reason) {
      says.textContent =
        reason.name === "InvalidStateError"
          ? "This device has a passkey for your account already."
          : "That did not work, or took too long. Try again, or use a code.";
    }
  });
}
