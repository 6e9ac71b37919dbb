import { defineConfig } from "vite";

// The demo page is served as /demo/{public_key}, and what it loads as /demo/assets/….
export default defineConfig({
  root: "demo",
  base: "/demo/",
  build: {
    target: "es2022",
    outDir: "../dist",
    emptyOutDir: false,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: "demo/demo.html" },
  },
});
