/** A server of one prompt that everybody may read and write. */
import { createHash } from "node:crypto";
import { openAccess } from "../../src/server/handler.ts";
import { auditTrail, httpWorld } from "./http-world.ts";

export const MARKDOWN = { "if-none-match": "*", "content-type": "text/markdown" };
export const EXACT = "/v1/prompts/support/triage/-/versions/1.0.0";
export const LARGE = `Sort this.\n${"All work and no play. ".repeat(400)}\n`;
export const sha = (bytes: Uint8Array) => `sha-256=:${createHash("sha256").update(bytes).digest("base64")}:`;

export async function world(text = LARGE) {
  const audit = auditTrail();
  const made = httpWorld({ access: openAccess(), audit, pollInterval: 10 });
  await made.registry.storePrompt({ name: "support/triage", version: "1.0.0", text });
  await made.registry.setLabel("support/triage", "production", "1.0.0");
  const { digest } = await made.registry.getPrompt("support/triage");
  return { ...made, audit, digest };
}
