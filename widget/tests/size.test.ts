import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, expect, it } from "vitest";

const LIMIT_BYTES = 25 * 1024;
const root = join(import.meta.dirname, "..");
let bundle: string;

beforeAll(() => {
  const vite = join(root, "node_modules/vite/bin/vite.js");
  execFileSync(process.execPath, [vite, "build", "--outDir", "node_modules/.size-test", "--logLevel", "error"], { cwd: root });
  bundle = readFileSync(join(root, "node_modules/.size-test/widget.js"), "utf8");
}, 60_000);

it("stays small enough to load beside a shop's own scripts", () => {
  expect(gzipSync(bundle).length).toBeLessThanOrEqual(LIMIT_BYTES);
});

it("needs nothing that a strict Content-Security-Policy forbids", () => {
  expect(bundle).not.toMatch(/\beval\(|new Function|innerHTML|insertAdjacentHTML|document\.write|setAttribute\("style"/);
});
