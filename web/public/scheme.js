// Runs before the first paint, so that a dark screen never flashes white. Not inline: the page has a strict CSP.
(() => {
  let scheme = null;
  try {
    scheme = localStorage.getItem("dana-color-scheme");
  } catch {
    // Storage may be forbidden; the system's preference decides then.
  }
  if (scheme !== "light" && scheme !== "dark") {
    scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  document.documentElement.dataset.mantineColorScheme = scheme;
})();
