// Makes test/support/github-openapi/api.json.gz: the part of GitHub's published OpenAPI description that this project
// uses, as plain JSON Schema, so that tests can check every request and reply against it. Run it to take a newer one:
//
//     node scripts/github-openapi.mjs [VERSION]
//
// Downloads the npm package @octokit/openapi (28 MB packed, 385 MB unpacked) into a temporary folder.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const version = process.argv[2] ?? "23.0.2";
const target = fileURLToPath(new URL("../test/support/github-openapi/api.json.gz", import.meta.url));

const R = "/repos/{owner}/{repo}";
const WANTED = {
  [R]: ["get"],
  [`${R}/git/ref/{ref}`]: ["get"],
  [`${R}/git/refs`]: ["post"],
  [`${R}/git/refs/{ref}`]: ["patch", "delete"],
  [`${R}/git/matching-refs/{ref}`]: ["get"],
  [`${R}/git/commits`]: ["post"],
  [`${R}/git/commits/{commit_sha}`]: ["get"],
  [`${R}/git/trees`]: ["post"],
  [`${R}/git/trees/{tree_sha}`]: ["get"],
  [`${R}/git/blobs`]: ["post"],
  [`${R}/git/blobs/{file_sha}`]: ["get"],
  [`${R}/contents/{path}`]: ["get", "put", "delete"],
  [`${R}/branches`]: ["get"],
  [`${R}/branches/{branch}`]: ["get"],
  [`${R}/branches/{branch}/protection`]: ["get"],
  [`${R}/compare/{basehead}`]: ["get"],
  [`${R}/commits`]: ["get"],
  [`${R}/commits/{ref}`]: ["get"],
  [`${R}/tarball/{ref}`]: ["get"],
  [`${R}/pulls`]: ["get", "post"],
  [`${R}/pulls/{pull_number}`]: ["get", "patch"],
  [`${R}/pulls/{pull_number}/files`]: ["get"],
  [`${R}/pulls/{pull_number}/merge`]: ["put"],
  [`${R}/issues/{issue_number}/labels`]: ["get", "post"],
  [`${R}/rulesets`]: ["get", "post"],
  [`${R}/rules/branches/{branch}`]: ["get"],
  [`${R}/installation`]: ["get"],
  "/user": ["get"],
  "/user/repos": ["post"],
  "/orgs/{org}/repos": ["post"],
  "/rate_limit": ["get"],
  "/app": ["get"],
  "/app/installations": ["get"],
  "/app/installations/{installation_id}/access_tokens": ["post"],
  "/applications/{client_id}/token": ["post", "delete"],
};

// Words for people; everything else is kept.
const PROSE = new Set(["description", "example", "examples", "externalDocs", "title", "summary", "tags", "deprecated"]);

/**
 * OpenAPI 3.0's `nullable` says what JSON Schema says by a type; prose and `x-` keys go. `oneOf` becomes `anyOf`: the
 * description's alternatives overlap (any error body is a basic-error too), and then no reply would do.
 */
function convert(node, inProperties = false) {
  if (Array.isArray(node)) return node.map((item) => convert(item));
  if (node === null || typeof node !== "object") return node;
  const out = {};
  for (const [key, value] of Object.entries(node)) {
    if (!inProperties && (PROSE.has(key) || key.startsWith("x-") || key === "nullable")) continue;
    // Schemas refer to each other by their bare names.
    const named = !inProperties && key === "$ref" ? value.split("/").at(-1) : undefined;
    out[key === "oneOf" && !inProperties ? "anyOf" : key] =
      named ?? convert(value, !inProperties && (key === "properties" || key === "patternProperties"));
  }
  if (inProperties || node.nullable !== true) return out;
  return { anyOf: [out, { type: "null" }] };
}

function schemaOf(content) {
  const media = content && Object.entries(content).find(([type]) => /json/.test(type));
  return media?.[1].schema === undefined ? undefined : convert(media[1].schema);
}

function extract(api) {
  const at = (ref) =>
    ref
      .slice(2)
      .split("/")
      .reduce((node, key) => node[key.replaceAll("~1", "/")], api);
  const deref = (node) => (node.$ref === undefined ? node : deref(at(node.$ref)));
  const paths = {};
  const schemas = {};
  const follow = (node) => {
    if (Array.isArray(node)) for (const item of node) follow(item);
    else if (node !== null && typeof node === "object") {
      if (typeof node.$ref === "string") {
        const name = node.$ref;
        if (schemas[name] === undefined) {
          schemas[name] = convert(api.components.schemas[name]);
          follow(schemas[name]);
        }
      }
      for (const value of Object.values(node)) follow(value);
    }
  };
  for (const [path, methods] of Object.entries(WANTED)) {
    for (const method of methods) {
      const operation = api.paths[path]?.[method];
      if (operation === undefined) throw new Error(`the description has no ${method} ${path}`);
      const parameters = [...(api.paths[path].parameters ?? []), ...(operation.parameters ?? [])]
        .map(deref)
        .map(({ name, in: where, required = false, schema }) => ({
          name,
          in: where,
          required,
          schema: convert(schema),
        }));
      const body = operation.requestBody && deref(operation.requestBody);
      const responses = {};
      for (const [status, response] of Object.entries(operation.responses)) {
        responses[status] = { schema: schemaOf(deref(response).content) ?? null };
      }
      const entry = {
        parameters,
        ...(body ? { body: { required: body.required ?? false, schema: schemaOf(body.content) ?? null } } : {}),
        responses,
      };
      paths[path] = { ...paths[path], [method]: entry };
      follow(entry);
    }
  }
  return { source: `@octokit/openapi ${version}, api.github.com ${api.info.version}`, paths, schemas };
}

const temp = mkdtempSync(join(tmpdir(), "github-openapi-"));
try {
  execFileSync("npm", ["pack", "--silent", `@octokit/openapi@${version}`], {
    cwd: temp,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [archive] = readdirSync(temp);
  execFileSync("tar", ["-xzf", archive, "package/generated/api.github.com.json"], { cwd: temp });
  const api = JSON.parse(readFileSync(join(temp, "package/generated/api.github.com.json"), "utf8"));
  const subset = extract(api);
  const packed = gzipSync(JSON.stringify(subset), { level: 9 });
  writeFileSync(target, packed);
  process.stdout.write(
    `${target}: ${Object.keys(subset.schemas).length} schemas, ${packed.length} bytes, ${subset.source}\n`,
  );
} finally {
  rmSync(temp, { recursive: true, force: true });
}
