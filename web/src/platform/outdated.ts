const RELOADED_AT = "dana-reloaded-at";
/** A second failure this soon isn't an old page, and reloading would go on for ever. */
const PAUSE_MS = 60_000;

/** After an upgrade of the server, a page that was open before asks for files that are gone: it starts afresh, once. */
export function reloadWhenOutdated(): void {
  window.addEventListener("vite:preloadError", (failed) => {
    const last = Number(sessionStorage.getItem(RELOADED_AT) ?? 0);
    if (Date.now() - last < PAUSE_MS) return;
    sessionStorage.setItem(RELOADED_AT, String(Date.now()));
    failed.preventDefault();
    window.location.reload();
  });
}
