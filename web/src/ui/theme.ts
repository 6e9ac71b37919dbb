import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core";

/** A quiet blue: actions and links only, so that what needs a person stands out. */
const tide: MantineColorsTuple = [
  "#eef2fd", "#dde4f8", "#bac8f0", "#94a9e8", "#748fe1", "#5f7edd", "#4866cf", "#3f5bc4", "#344dae", "#273f96",
];

const teal: MantineColorsTuple = [
  "#edf7f4", "#dcf0ea", "#b9e1d5", "#8fcfbc", "#69bca4", "#48a88d", "#2f967a", "#1d7f66", "#146a55", "#0f5a48",
];

const dark: MantineColorsTuple = [
  "#d5d9e2", "#b4bac7", "#939bab", "#626b7d", "#414a5b", "#2f3645", "#232936", "#191e28", "#12161e", "#0c0f15",
];

export const theme = createTheme({
  primaryColor: "tide",
  primaryShade: { light: 7, dark: 6 },
  colors: { tide, teal, dark },
  fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  fontSizes: { xs: "0.75rem", sm: "0.84375rem", md: "0.9375rem", lg: "1.0625rem", xl: "1.25rem" },
  headings: { fontWeight: "620", sizes: { h1: { fontSize: "1.5rem" }, h2: { fontSize: "1.1875rem" }, h3: { fontSize: "1rem" } } },
  defaultRadius: "md",
  cursorType: "pointer",
  focusRing: "auto",
  components: {
    Button: { defaultProps: { size: "sm" } },
    InputWrapper: { defaultProps: { withAsterisk: false } },
    Card: { styles: { root: { backgroundColor: "var(--dana-surface)", borderColor: "var(--dana-line)" } } },
    Tooltip: { defaultProps: { openDelay: 350, withArrow: true } },
    // The placeholder is a focusable element that a menu may not have, says axe.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
    Modal: { defaultProps: { centered: true, overlayProps: { backgroundOpacity: 0.45, blur: 2 } } },
    Drawer: { defaultProps: { overlayProps: { backgroundOpacity: 0.35 } } },
  },
});

/** Colours of our own, and Mantine's own where they miss the contrast of 4.5. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#5b6472",
    "--mantine-color-placeholder": "#6b7482",
    "--mantine-color-error": "#c92a2a",
    "--mantine-color-teal-light-color": "#066649",
    "--mantine-color-cyan-light-color": "#0a6273",
    "--mantine-color-green-light-color": "#1f6b2e",
    "--mantine-color-orange-light-color": "#a13509",
    "--mantine-color-yellow-light-color": "#8a4b00",
    "--dana-canvas": "#f5f6f9",
    "--dana-surface": "#ffffff",
    "--dana-line": "#e3e6ec",
    "--dana-hover": "#f1f3f8",
    "--dana-chosen": "#e7ecfb",
    "--dana-customer": "#eef0f5",
    "--dana-agent": "#3f5bc4",
    "--dana-agent-text": "#ffffff",
    "--dana-assistant": "#ecf6f3",
    "--dana-assistant-line": "#c6e4da",
    "--dana-assistant-text": "#12594a",
    "--dana-note": "#fff6db",
    "--dana-note-line": "#f0d88a",
    "--dana-mark": "#ffec9e",
    "--dana-online": "#1f8a5f",
    "--dana-away": "#a85b00",
  },
  dark: {
    "--mantine-color-dimmed": "#9aa3b4",
    "--mantine-color-placeholder": "#8b94a6",
    "--mantine-color-error": "#ff8787",
    "--dana-canvas": "#0c0f15",
    "--dana-surface": "#12161e",
    "--dana-line": "#262d3a",
    "--dana-hover": "#1a202b",
    "--dana-chosen": "#1f2a47",
    "--dana-customer": "#222936",
    "--dana-agent": "#3a52b0",
    "--dana-agent-text": "#ffffff",
    "--dana-assistant": "#14292a",
    "--dana-assistant-line": "#24484a",
    "--dana-assistant-text": "#86d6c0",
    "--dana-note": "#2c2717",
    "--dana-note-line": "#5c4f22",
    "--dana-mark": "#66561b",
    "--dana-online": "#45b98a",
    "--dana-away": "#e0a040",
  },
});
