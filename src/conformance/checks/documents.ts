import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { openStored } from "../../document.ts";
import { parseName } from "../../names.ts";
import { parseVersion } from "../../semver.ts";
import type { Answer } from "../client.ts";
import { sha256, type Tools } from "../tools.ts";
import type { Check } from "../types.ts";

/** What storages, encodings and editors are known to change on the way. */
const TEXTS = [
  "",
  "\n",
  "no final newline",
  "CRLF\r\nand CR alone\r, mixed\n",
  "\ufeffwith a byte order mark\n",
  "🙂 e\u0301 \u00e9 \u2028 \ufffd\n",
  "  \n\ttrailing spaces  \n\n\n",
  "---\nmodel: m\ntags: [a, b]\n---\nSay {{word}}.\n",
];
const LONG = "Say it again, and again. ".repeat(400);

/** The digest that a sealed text names, after everything in it was checked. */
function digestOf(answer: Answer, name: string, version: string): { digest: string; text: string } {
  const opened = openStored(answer.text, { name: parseName(name), version: parseVersion(version) });
  return { digest: opened.digest, text: opened.kind === "document" ? opened.text : "" };
}

async function seeded(t: Tools, text = LONG): Promise<string> {
  t.status(await t.put("1.0.0", text), 201);
  return t.prompt("versions/1.0.0");
}

function decode(answer: Answer): Buffer {
  const coding = answer.headers["content-encoding"];
  if (coding === "gzip") return gunzipSync(answer.bytes);
  if (coding === "br") return brotliDecompressSync(answer.bytes);
  return answer.bytes;
}

export const documentChecks: readonly Check[] = [
  {
    id: "documents.sealed",
    rule: "a version is sent as it is stored, with a digest that binds its name, version and text",
    section: "Documents",
    rights: ["read", "write"],
    async run(t: Tools) {
      const answer = await t.get(await seeded(t));
      t.status(answer, 200);
      t.equal((answer.headers["content-type"] ?? "").split(";")[0], "text/markdown", "the media type");
      t.equal(digestOf(answer, t.name, "1.0.0").text, LONG, "the text in the seal");
    },
  },
  {
    id: "documents.texts",
    rule: "texts come back byte for byte",
    section: "Documents",
    rights: ["read", "write"],
    async run(t: Tools) {
      for (const [i, text] of TEXTS.entries()) {
        // Each is a major step: a policy may refuse less where variables come and go.
        const version = `${i + 1}.0.0`;
        t.status(await t.put(version, text), 201);
        const answer = await t.ask(`versions/${version}?form=text`);
        t.status(answer, 200);
        t.ok(
          answer.bytes.equals(Buffer.from(text)),
          `the text ${JSON.stringify(text)} came back as ${JSON.stringify(answer.text)}`,
        );
        t.equal(digestOf(await t.ask(`versions/${version}`), t.name, version).text, text, "the text in the seal");
      }
    },
  },
  {
    id: "documents.forms",
    rule: "?form=text is the author's text, with an ETag of its own; ?form=json has name and version",
    section: "Documents",
    rights: ["read", "write"],
    async run(t: Tools) {
      const path = await seeded(t, "one\n");
      const { digest } = digestOf(await t.get(path), t.name, "1.0.0");
      const text = await t.get(`${path}?form=text`);
      t.equal([text.status, text.text, text.headers.etag], [200, "one\n", `"${digest};text"`], "form=text");
      const json = t.declared(await t.get(`${path}?form=json`), "versions.get");
      t.equal([json?.name, json?.version], [t.name, "1.0.0"], "form=json");
      t.problem(await t.get(`${path}?form=html`), 400, "INVALID");
    },
  },
  {
    id: "documents.etag",
    rule: "the ETag is strong and is the digest, by whatever the version is selected",
    section: "Documents",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      const path = await seeded(t);
      t.status(await t.label("staging", "1.0.0"), 201);
      const { digest } = digestOf(await t.get(path), t.name, "1.0.0");
      for (const one of [path, t.prompt("labels/staging"), t.prompt("latest")]) {
        t.equal((await t.get(one)).headers.etag, `"${digest}"`, `ETag of ${one}`);
      }
    },
  },
  {
    id: "documents.codings",
    rule: "gzip and br stand for the same bytes, each with an ETag of its own",
    section: "Documents",
    rights: ["read", "write"],
    async run(t: Tools) {
      const path = await seeded(t);
      const whole = await t.get(path);
      for (const coding of ["gzip", "br"]) {
        const answer = await t.get(path, { "accept-encoding": coding });
        t.status(answer, 200);
        const used = answer.headers["content-encoding"];
        t.ok(used === undefined || used === coding, `${coding} was asked for, and ${used} came`);
        t.ok(decode(answer).equals(whole.bytes), `${coding} stands for other bytes`);
        const tag = whole.headers.etag?.slice(1, -1);
        t.equal(answer.headers.etag, used === undefined ? `"${tag}"` : `"${tag};${coding}"`, `ETag with ${coding}`);
        if (used !== undefined) t.ok(/accept-encoding/i.test(answer.headers.vary ?? ""), "Vary lacks Accept-Encoding");
      }
    },
  },
  {
    id: "documents.not-modified",
    rule: "If-None-Match with what the client has is answered by 304 without a body, whatever the coding",
    section: "Documents",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      const path = await seeded(t);
      t.status(await t.label("staging", "1.0.0"), 201);
      const tag = ((await t.get(path)).headers.etag ?? "").slice(1, -1);
      for (const one of [path, t.prompt("labels/staging"), t.prompt("latest")]) {
        for (const known of [`"${tag}"`, `"${tag};gzip"`, `"other", "${tag}"`]) {
          const answer = await t.get(one, { "if-none-match": known });
          t.status(answer, 304);
          t.equal(answer.bytes.length, 0, "the length of a 304");
          t.ok(answer.headers.etag !== undefined, "a 304 has no ETag");
        }
        t.status(await t.get(one, { "if-none-match": '"sha256:other"' }), 200);
      }
    },
  },
  {
    id: "documents.head",
    rule: "HEAD answers as GET does, without the body",
    section: "Documents",
    rights: ["read", "write"],
    async run(t: Tools) {
      const path = await seeded(t);
      const get = await t.get(path);
      const head = await t.send("HEAD", path);
      t.equal([head.status, head.bytes.length], [200, 0], "status and length of HEAD");
      for (const name of ["etag", "content-type", "content-length", "cache-control", "content-digest"]) {
        if (get.headers[name] !== undefined) t.equal(head.headers[name], get.headers[name], `${name} of HEAD`);
      }
      t.status(await t.send("HEAD", t.prompt("versions/9.9.9")), 404);
    },
  },
  {
    id: "documents.cache-exact",
    rule: "an exact version is immutable, and kept for a day and no longer",
    section: "Documents",
    rights: ["read", "write"],
    async run(t: Tools) {
      const control = (await t.get(await seeded(t))).headers["cache-control"] ?? "";
      const age = Number(/\bmax-age=(\d+)/.exec(control)?.[1] ?? Number.NaN);
      t.ok(control.includes("immutable") && age <= 86_400, `Cache-Control of an exact version is "${control}"`);
    },
  },
  {
    id: "documents.cache-moving",
    rule: "what a label or latest selects is no-cache",
    section: "Documents",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      await seeded(t);
      t.status(await t.label("staging", "1.0.0"), 201);
      for (const path of [t.prompt("labels/staging"), t.prompt("latest")]) {
        const control = (await t.get(path)).headers["cache-control"] ?? "";
        t.ok(
          /\bno-cache\b/.test(control) && !control.includes("immutable"),
          `Cache-Control of ${path} is "${control}"`,
        );
      }
    },
  },
  {
    id: "documents.location",
    rule: "Content-Location and Registry-Version say which version it is",
    section: "Documents",
    rights: ["read", "write", "promote"],
    async run(t: Tools) {
      await t.seedStaged(["1.0.0", "2.0.0"]);
      for (const [rest, version] of [
        ["labels/staging", "1.0.0"],
        ["latest", "2.0.0"],
        ["versions/1.0.0", "1.0.0"],
      ] as const) {
        const { headers } = await t.ask(rest);
        t.equal(headers["registry-version"], version, `Registry-Version of ${rest}`);
        t.equal(headers["content-location"], t.prompt(`versions/${version}`), `Content-Location of ${rest}`);
      }
    },
  },
  {
    id: "replies.content-digest",
    rule: "every whole body has a Content-Digest that is its own",
    section: "Basics",
    rights: ["read", "write"],
    async run(t: Tools) {
      const path = await seeded(t);
      const answers = [
        await t.get("/v1"),
        await t.get(path),
        await t.ask("versions/9.9.9"),
        await t.get("/openapi.json"),
      ];
      for (const answer of answers) {
        t.equal(
          answer.headers["content-digest"],
          `sha-256=:${sha256(answer.bytes)}:`,
          `Content-Digest of ${answer.asked}`,
        );
      }
    },
  },
  {
    id: "replies.repr-digest",
    rule: "a coded body has the Content-Digest of its bytes, and the Repr-Digest of what they stand for",
    section: "Basics",
    rights: ["read", "write"],
    async run(t: Tools) {
      const path = await seeded(t);
      for (const coding of ["gzip", "br"]) {
        const answer = await t.get(path, { "accept-encoding": coding });
        t.equal(answer.headers["content-digest"], `sha-256=:${sha256(answer.bytes)}:`, `Content-Digest with ${coding}`);
        if (answer.headers["content-encoding"] === undefined) continue;
        t.equal(answer.headers["repr-digest"], `sha-256=:${sha256(decode(answer))}:`, `Repr-Digest with ${coding}`);
      }
    },
  },
];
