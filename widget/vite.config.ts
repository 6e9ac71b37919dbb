import { defineConfig } from "vitest/config";

// One classic script, because a snippet of one line must work on any page.
export default defineConfig({
  build: {
    target: "es2022",
    emptyOutDir: true,
    lib: { entry: "src/main.ts", formats: ["iife"], name: "DanaWidget", fileName: () => "widget.js" },
  },
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"] },
});
