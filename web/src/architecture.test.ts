import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, it } from "vitest";

const LONGEST_FILE = 250;
const ROOT = import.meta.dirname;
const GENERATED = "platform/api/schema.d.ts";
/** What each layer may import; a feature besides only itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  routes: ["routes", "features", "ui", "platform"],
  features: ["ui", "platform"],
  ui: ["ui", "platform"],
  platform: ["platform"],
};

const files = globSync("**/*.{ts,tsx,css}", { cwd: ROOT }).filter((file) => file !== GENERATED);
const sources = files.filter((file) => /\.tsx?$/u.test(file) && file !== "main.tsx" && !file.endsWith(".test.ts"));

it("keeps every file short", () => {
  const long = files.filter((file) => read(file).split("\n").length > LONGEST_FILE);
  expect(long).toEqual([]);
});

it("imports downwards only, and no feature imports another", () => {
  const wrong = sources.flatMap((file) => importsOf(file).filter((target) => !mayImport(file, target)).map((target) => `${file} imports ${target}`));
  expect(wrong).toEqual([]);
});

it("speaks the API as it was last described", () => {
  const description = readFileSync(join(ROOT, "../schema/openapi.json"));
  const hash = createHash("sha256").update(description).digest("hex");
  expect(read(GENERATED), "run `npm run api`").toContain(hash);
});

it("has no names that say nothing", () => {
  const empty = /(?:^|[/-])(?:utils?|helpers?|common|core|manager|data|info)(?:[.-]|$)/u;
  expect(files.filter((file) => empty.test(file))).toEqual([]);
});

function mayImport(file: string, target: string): boolean {
  const layer = top(file);
  if (layer === "features" && top(target) === "features") return feature(file) === feature(target);
  return MAY_IMPORT[layer]?.includes(top(target)) ?? false;
}

function importsOf(file: string): string[] {
  const found = read(file).matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+|@\/[^"]+)"/gu);
  return [...found].map(([, path = ""]) => (path.startsWith("@/") ? path.slice(2) : relative(ROOT, join(ROOT, file, "..", path))));
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

const top = (file: string) => file.split("/")[0] ?? "";
const feature = (file: string) => file.split("/")[1] ?? "";
