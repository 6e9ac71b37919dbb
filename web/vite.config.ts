import react from "@vitejs/plugin-react";
import { copyFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const DANA_URL = process.env["DANA_URL"] ?? "http://localhost:8080";

/** The API reference at /docs works offline: Swagger UI's two files are copied beside our own page. */
function apiReference(): Plugin {
  const source = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  return {
    name: "dana-api-reference",
    apply: "build",
    writeBundle({ dir = "dist" }) {
      for (const file of ["swagger-ui.css", "swagger-ui-bundle.js"]) copyFileSync(join(source, file), join(dir, "docs", file));
    },
  };
}

export default defineConfig({
  plugins: [react(), apiReference()],
  resolve: { alias: { "@": resolve(import.meta.dirname, "src") } },
  build: { target: "es2023", chunkSizeWarningLimit: 700, assetsInlineLimit: 0 },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/openapi.json", "/widget.js", "/demo"].map((path) => [path, { target: DANA_URL, ws: true }]),
    ),
  },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
