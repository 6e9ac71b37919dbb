// Makes ../src/platform/api/schema.d.ts from what `dana openapi` prints. It stands in a folder of its own because
// openapi-typescript needs TypeScript 5, and the console is checked by a newer one.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import openapiTS, { astToString } from "openapi-typescript";

const web = resolve(import.meta.dirname, "..");
const printed = execFileSync(resolve(web, "../.venv/bin/dana"), ["openapi"], { encoding: "utf8", maxBuffer: 64 << 20 });
const description = JSON.parse(printed);
// Where it runs is no part of the shapes.
delete description.servers;

requireWhatIsAlwaysSent(description);

const json = `${JSON.stringify(description, null, 1)}\n`;
const types = astToString(await openapiTS(json, { alphabetize: true }));
const hash = createHash("sha256").update(json).digest("hex");

writeFileSync(resolve(web, "schema/openapi.json"), json);
writeFileSync(
  resolve(web, "src/platform/api/schema.d.ts"),
  `// Made by \`npm run api\` from schema/openapi.json, sha256 ${hash}. Not written by hand.\n${types}`,
);

/** The server writes every field of an answer, also those with a default; only in requests may they be left out. */
function requireWhatIsAlwaysSent({ paths, components: { schemas } }) {
  const sent = new Set();
  const follow = (part) => {
    const name = part?.$ref?.split("/").at(-1);
    if (name && !sent.has(name)) {
      sent.add(name);
      follow(schemas[name]);
    }
    if (typeof part === "object" && part !== null) Object.values(part).forEach(follow);
  };
  for (const path of Object.values(paths)) for (const operation of Object.values(path)) follow(operation.responses);
  for (const name of sent) if (schemas[name].properties) schemas[name].required = Object.keys(schemas[name].properties);
}
