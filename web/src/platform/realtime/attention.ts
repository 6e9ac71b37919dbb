/** Without a key or a pointer for this long, nobody is at the screen. */
const AWAY_AFTER_MS = 5 * 60_000;
const INPUTS = ["pointerdown", "pointermove", "keydown", "wheel"] as const;

/** Tell whenever somebody comes to this page or goes away from it; returns how to stop. */
export function watchAttention(tell: (isActive: boolean) => void): () => void {
  let lastInputAt = Date.now();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    const leftMs = lastInputAt + AWAY_AFTER_MS - Date.now();
    const isActive = document.visibilityState === "visible" && leftMs > 0;
    if (isActive) timer = setTimeout(look, leftMs);
    tell(isActive);
  };
  const input = () => {
    const wasAway = Date.now() - lastInputAt >= AWAY_AFTER_MS;
    lastInputAt = Date.now();
    if (wasAway) look();
  };
  const turn = () => {
    // Who turns to a page is at it.
    if (document.visibilityState === "visible") lastInputAt = Date.now();
    look();
  };
  for (const name of INPUTS) document.addEventListener(name, input, { passive: true, capture: true });
  document.addEventListener("visibilitychange", turn);
  look();
  return () => {
    clearTimeout(timer);
    for (const name of INPUTS) document.removeEventListener(name, input, { capture: true });
    document.removeEventListener("visibilitychange", turn);
  };
}
