/** Texts of authors, and how they are sealed. */
import { createHash } from "node:crypto";
import { type SealedDocument, type SealInput, sealDocument } from "../../src/document.ts";
import { parseName } from "../../src/names.ts";
import { parseVersion } from "../../src/semver.ts";

export const slot = { name: parseName("support/triage"), version: parseVersion("1.0.0") };
export const createdAt = "2026-11-24T05:00:00.000Z";

export function seal(text: string, extra: Partial<SealInput> = {}): SealedDocument {
  return sealDocument({ ...slot, text, createdAt, ...extra });
}

/** The rule of the docs, written once more and on bytes. */
export function digestByRule(stored: string): string {
  const bytes = Buffer.from(stored);
  const start = bytes.indexOf("\nregistry.digest: ") + 1;
  const end = bytes.indexOf("\n", start) + 1;
  return `sha256:${createHash("sha256").update(bytes.subarray(0, start)).update(bytes.subarray(end)).digest("hex")}`;
}

export const texts = [
  "",
  "\n",
  "\r\n",
  "\ufeff",
  "You are a triage agent.",
  "You are\na triage agent.\n",
  "a\r\nb\nc\r",
  "a\nb\r\n",
  "\r",
  "\ufeffbom\r\nbody",
  "\ufeff\ufeff---\n---\n",
  "---\n---",
  "---\n---\n",
  "---\r\n---\r\n",
  "--- \t\n---\t\nbody",
  "---\n\n\n---\nbody",
  "---\n# only a comment\n---\n\n",
  "---\ntitle: x\n---\n",
  "---\ntitle: x\n---",
  "---\r\ntitle: x\r\n---\r\nbody\r\n",
  "---\r\ntitle: x\nother: y\n---\nbody\r\n",
  "---\ntitle: x\r\nother: y\r\n---\r\nbody\n",
  "\ufeff---\ntitle: x\n---\nbody",
  "---\na: |\n  ---\n  registry.name: x\n  registry.digest: sha256:0\n\n\n---\nbody\n---\nmore\n---\n",
  "---\na: |+\n  keep\n\n---\nbody",
  "---\na:\n---\nbody",
  "---\n? a\n---\nbody",
  "---\nregistry: {name: x}\nregistryx: 1\n---\nregistry.name: x\n",
  "----\nnot front matter\n---\n",
  "--- neither is this\n---\n",
  "\n---\ntitle: x\n---\n",
  `a\nregistry.digest: sha256:${"0".repeat(64)}\n---\n`,
  `---\n# ${"x".repeat(65_000)}\n---\nbody`,
  "Äößé 😀 \u202e \u{e0041}",
  "{{name}} <script>",
];
