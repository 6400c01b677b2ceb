import { createHash } from "node:crypto";
import { MAX_TEXT_BYTES } from "../../document.ts";
import { openapi } from "../protocol/openapi.ts";
import { MAX_ASKS, MAX_CHANGES, type Service } from "../protocol/schemas.ts";
import { matches } from "./coding.ts";
import type { Call, Result, RouteHandler } from "./context.ts";

const PROTOCOL = 1;
const documents = new Map<string, { readonly json: unknown; readonly tag: string }>();

/** Made when it is first asked for, and then the same until the process ends. */
function openapiOf(version: string): { readonly json: unknown; readonly tag: string } {
  const known = documents.get(version);
  if (known !== undefined) return known;
  const json = openapi(version);
  const made = { json, tag: createHash("sha256").update(JSON.stringify(json)).digest("hex") };
  documents.set(version, made);
  return made;
}

async function service({ shared, principal }: Call): Promise<Result> {
  const { driver, maxBodyBytes } = shared;
  const { id, name, grants } = principal;
  const { maxBatch } = driver.capabilities;
  const json: Service = {
    service: "prompt-registry",
    protocol: PROTOCOL,
    capabilities: { ...driver.capabilities, maxBatch: Math.min(maxBatch, MAX_CHANGES) },
    limits: { documentBytes: MAX_TEXT_BYTES, bodyBytes: maxBodyBytes, asks: MAX_ASKS, changes: MAX_CHANGES },
    principal: {
      id,
      name,
      grants: grants.map(({ right, prefix, labels }) => ({
        ...{ right, prefix },
        ...(labels === undefined ? {} : { labels: [...labels] }),
      })),
    },
  };
  return { status: 200, json };
}

export const infoRoutes = {
  "discovery.get": async () => ({
    status: 200,
    json: {
      service: "prompt-registry",
      protocols: [{ version: PROTOCOL, path: "/v1" }],
      openapi: "/openapi.json",
    },
  }),
  "openapi.get": async ({ shared, request }) => {
    const { json, tag } = openapiOf(shared.options.version ?? "0.0.0");
    const headers = { ETag: `W/"${tag}"` };
    const isKnown = matches(request.headers.get("if-none-match"), tag);
    return isKnown ? { status: 304, headers } : { status: 200, headers, json };
  },
  "service.get": service,
} satisfies Record<string, RouteHandler>;
