import * as z from "zod";
import { flag, json, markdown, PROMPT, pageQuery, type RouteSpec, selectorText, unchanged } from "./route.ts";
import * as s from "./schemas.ts";

const promptJson = z.object({ name: s.name, head: s.headState });
const resolved = z.object({ name: s.name, version: s.version, digest: s.digest.optional() });
const diff = z.looseObject({
  name: z.string().optional(),
  identical: z.boolean().optional(),
  unified: z.string().optional(),
  coarse: z.literal(true).optional(),
  tooLarge: z.literal(true).optional(),
});
/** What a version, a label and `latest` have in common: each gives one document, in the form that is asked for. */
const A_DOCUMENT = {
  query: z.strictObject({ form: z.enum(["sealed", "text", "json"]).optional() }),
  headers: { "If-None-Match": "The ETag of a document that the client has" },
  replies: {
    200: {
      description: "The document",
      // Some programs hold all JSON to what is named first, whatever its type.
      content: [json(z.looseObject({ name: s.name, version: s.version })), markdown],
    },
    304: unchanged,
  },
};

/** Reading one prompt. */
export const READ_ROUTES = [
  {
    id: "prompt.get",
    method: "GET",
    path: PROMPT,
    summary: "A prompt: labels, latest, yanks, deprecation",
    right: "read",
    resource: "prompt",
    replies: { 200: { description: "The prompt", content: [json(promptJson)] } },
  },
  {
    id: "head.get",
    method: "GET",
    path: `${PROMPT}/-/head`,
    summary: "The head of a prompt as drivers know it",
    right: "read",
    resource: "prompt",
    replies: { 200: { description: "The head", content: [json(s.headState)] } },
  },
  {
    id: "versions.list",
    method: "GET",
    path: `${PROMPT}/-/versions`,
    summary: "A page of versions, highest first",
    right: "read",
    resource: "prompt",
    query: z.strictObject({ ...pageQuery, includeRemoved: flag }),
    replies: { 200: { description: "A page", content: [json(s.versionPage)] } },
  },
  {
    id: "versions.get",
    method: "GET",
    path: `${PROMPT}/-/versions/{version}`,
    summary: "One version: the stored document, the author's text, or all fields as JSON",
    right: "read",
    resource: "prompt",
    ...A_DOCUMENT,
  },
  {
    id: "labels.get",
    method: "GET",
    path: `${PROMPT}/-/labels/{label}`,
    summary: "The document a label is on",
    right: "read",
    resource: "prompt",
    ...A_DOCUMENT,
  },
  {
    id: "latest.get",
    method: "GET",
    path: `${PROMPT}/-/latest`,
    summary: "The document that latest selects",
    right: "read",
    resource: "prompt",
    ...A_DOCUMENT,
  },
  {
    id: "history.list",
    method: "GET",
    path: `${PROMPT}/-/history`,
    summary: "Who changed what and when, newest first",
    right: "read",
    resource: "prompt",
    query: z.strictObject(pageQuery),
    replies: { 200: { description: "A page", content: [json(s.historyPage)] } },
  },
  {
    id: "diff.get",
    method: "GET",
    path: `${PROMPT}/-/diff`,
    summary: "Two versions compared",
    right: "read",
    resource: "prompt",
    query: z.strictObject({ from: selectorText, to: selectorText }),
    replies: { 200: { description: "The difference", content: [json(diff)] } },
  },
  {
    id: "resolve.get",
    method: "GET",
    path: `${PROMPT}/-/resolve`,
    summary: "Which version a range, a label or latest selects now, or a label or latest at an instant",
    right: "read",
    resource: "prompt",
    query: z.strictObject({
      range: selectorText.optional(),
      label: selectorText.optional(),
      at: z.string().max(40).optional(),
    }),
    replies: { 200: { description: "The version", content: [json(resolved)] } },
  },
] as const satisfies readonly RouteSpec[];
