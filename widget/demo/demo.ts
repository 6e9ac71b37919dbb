/** Puts the widget of the inbox named in the address on this page, with the very snippet a customer would paste. */

const publicKey = decodeURIComponent(location.pathname.split("/").filter(Boolean)[1] ?? "");

function showSnippet(): void {
  const code = document.getElementById("snippet");
  if (code) code.textContent = `<script async src="${location.origin}/widget.js" data-inbox="${publicKey}"></script>`;
}

async function showName(): Promise<void> {
  const name = document.getElementById("inbox-name");
  const response = await fetch(`/api/v1/widget/${encodeURIComponent(publicKey)}`);
  if (!name) return;
  if (response.ok) name.textContent = ((await response.json()) as { name: string }).name;
  else if (response.status === 404) name.textContent = "There is no inbox with this key. Open the demo page from your inbox’s settings.";
}

function loadWidget(): void {
  const script = document.createElement("script");
  script.src = "/widget.js";
  script.dataset["inbox"] = publicKey;
  document.head.append(script);
}

showSnippet();
loadWidget();
void showName();
