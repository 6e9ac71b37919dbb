/** Styles as constructed sheets: a page's Content-Security-Policy forbids inline styles, but not these. */

import css from "./widget.css?inline";

export interface Theme {
  color: string | null;
  position: "left" | "right";
  mode: "auto" | "light" | "dark";
}

export function adoptStyles(root: ShadowRoot, host: HTMLElement, theme: Theme): void {
  host.dataset["position"] = theme.position;
  host.dataset["mode"] = theme.mode;
  const sheets = [sheet(css)];
  if (theme.color !== null && CSS.supports("color", theme.color)) {
    sheets.push(sheet(`:host { --accent: ${theme.color}; --on-accent: ${readableOn(theme.color)}; }`));
  }
  root.adoptedStyleSheets = sheets;
}

function sheet(text: string): CSSStyleSheet {
  const made = new CSSStyleSheet();
  made.replaceSync(text);
  return made;
}

/** Black or white, whichever contrasts more with a colour in any notation (WCAG 2 relative luminance). */
function readableOn(color: string): string {
  const context = document.createElement("canvas").getContext("2d");
  if (context === null) return "#fff";
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  const luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  return luminance > 0.179 ? "#111" : "#fff";
}

function linear(channel: number): number {
  const share = channel / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
}
