import * as z from "zod";
import type { Right } from "../types.ts";
import { cursor } from "./schemas.ts";

/** What a body or a reply is made of. */
export type Content =
  | { readonly type: "application/json"; readonly schema: z.ZodType }
  | { readonly type: "text/markdown" }
  | { readonly type: "text/event-stream" };

export interface Reply {
  readonly description: string;
  readonly content?: readonly Content[];
}

export interface RouteSpec {
  /** For logs, metrics and the audit log. */
  readonly id: string;
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  readonly summary: string;
  /** `authenticated`: whoever is known; `public`: whoever asks. */
  readonly right: Right | "authenticated" | "public";
  /**
   * What the right is asked for: the prompt, or the label, of the path; the whole registry; `each`: every item on its own,
   * by the route itself; `none` where no right is asked.
   */
  readonly resource: "none" | "registry" | "prompt" | "label" | "each";
  /** Changes something, so that it is written to the audit log. */
  readonly mutates?: true;
  readonly query?: z.ZodObject;
  readonly body?: Content;
  /** Request headers that matter to it. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly replies: Readonly<Record<number, Reply>>;
}

export const json = (schema: z.ZodType): Content => ({ type: "application/json", schema });
export const markdown: Content = { type: "text/markdown" };
export const unchanged: Reply = { description: "What the client has is still so" };
export const count = z.coerce.number().int().min(1).max(1000).optional();
export const flag = z.enum(["true", "false"]).optional();
export const pageQuery = { limit: count, cursor: cursor.optional() };
export const selectorText = z.string().min(1).max(200);
export const PROMPT = "/v1/prompts/{name}";
