import { createHash } from "node:crypto";
import { show } from "../errors.ts";
import { KINDS, typeOf } from "../server/protocol/problem.ts";
import { ROUTES, type RouteId, type RouteSpec } from "../server/protocol/routes.ts";
import { problem as problemSchema, type Service } from "../server/protocol/schemas.ts";
import type { Answer, Ask, Client } from "./client.ts";
import { type Run, Skip, Violation } from "./types.ts";

/** Foreign JSON; what a check looks at is checked by it. */
// biome-ignore lint/suspicious/noExplicitAny: inside of the checks only
export type Json = any;

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}

export function routeOf(id: RouteId): RouteSpec {
  return ROUTES.find((route) => route.id === id) as RouteSpec;
}

/** What a check works with. */
export class Tools {
  readonly client: Client;
  readonly nobody: Client;
  /** Below which this check writes; a prompt name itself. */
  readonly name: string;
  readonly service: Service | undefined;
  /** How long the feed may take to tell of a change. Milliseconds. */
  readonly patience: number;
  readonly #run: Run;

  constructor(run: Run, id: string, service: Service | undefined) {
    this.#run = run;
    this.client = run.client;
    this.nobody = run.nobody;
    this.service = service;
    this.patience = run.patience;
    this.name = `${run.root}/${id.replaceAll(".", "-")}`;
  }

  get limited(): Client {
    if (this.#run.limited === undefined) throw new Skip("needs --limited-token-env");
    return this.#run.limited;
  }

  prompt(rest = "", name = this.name): string {
    return `/v1/prompts/${name}${rest === "" ? "" : `/-/${rest}`}`;
  }

  send(method: string, path: string, ask?: Ask): Promise<Answer> {
    return this.client.send(method, path, ask);
  }

  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer> {
    return this.send("GET", path, headers === undefined ? {} : { headers });
  }

  /** A `GET` of something of a prompt: `head`, `versions/1.0.0`. */
  ask(rest = "", name = this.name): Promise<Answer> {
    return this.get(this.prompt(rest, name));
  }

  /** What it says, where it is there. */
  async json(rest: string): Promise<Json> {
    const answer = await this.ask(rest);
    this.status(answer, 200);
    return answer.json();
  }

  /** A `PUT` of a version. */
  put(version: string, body: string | Uint8Array, query = "", name = this.name): Promise<Answer> {
    const headers = { "if-none-match": "*", "content-type": "text/markdown" };
    return this.send("PUT", `${this.prompt(`versions/${version}`, name)}${query}`, { headers, body });
  }

  /** Publishes versions, each with a text of its own, as the start of a check. */
  async seed(versions: readonly string[], name = this.name): Promise<void> {
    for (const version of versions) this.status(await this.put(version, `${name} ${version}\n`, "", name), 201);
  }

  /** The same, and then the label `staging` on the first of them. */
  async seedStaged(versions: readonly [string, ...string[]]): Promise<void> {
    await this.seed(versions);
    this.status(await this.label("staging", versions[0]), 201);
  }

  label(label: string, version: string, headers: Readonly<Record<string, string>> = { "if-none-match": "*" }) {
    return this.send("PUT", this.prompt(`labels/${label}`), { headers, json: { version } });
  }

  reads(asks: readonly unknown[], more: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    return this.send("POST", "/v1/reads", { json: { asks, ...more } });
  }

  commit(changes: readonly unknown[], more: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    const { id = `c-${Math.random().toString(36).slice(2)}`, at = new Date().toISOString(), ...rest } = more;
    return this.send("POST", "/v1/commits", { json: { id, at, ...rest, changes } });
  }

  /** Which version latest is. */
  async latest(): Promise<string> {
    const answer = await this.ask("latest");
    this.status(answer, 200);
    return answer.headers["registry-version"] ?? "";
  }

  /** Which version a label is on; `undefined` where nothing says so. */
  async labelled(label = "staging"): Promise<string | undefined> {
    return (await this.ask(`labels/${label}`)).headers["registry-version"];
  }

  ok(holds: boolean, otherwise: string): asserts holds {
    if (!holds) throw new Violation(otherwise);
  }

  equal(found: unknown, wanted: unknown, what: string): void {
    const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
    if (a !== b) throw new Violation(`${what} is ${clip(a)}, not ${clip(b)}`);
  }

  status(answer: Answer, wanted: number | readonly number[]): void {
    const all = typeof wanted === "number" ? [wanted] : wanted;
    if (all.includes(answer.status)) return;
    throw new Violation(
      `${answer.asked}: ${answer.status} instead of ${all.join(" or ")}${answer.text === "" ? "" : `; ${clip(answer.text)}`}`,
    );
  }

  /** An error as the protocol tells of it. */
  problem(answer: Answer, status: number | readonly number[], code?: string, outcome?: string): Json {
    this.status(answer, status);
    const type = mediaType(answer);
    this.ok(
      type === "application/problem+json",
      `${answer.asked}: the error is ${show(type)}, not a problem of RFC 9457`,
    );
    const json = answer.json() as Json;
    const parsed = problemSchema.safeParse(json);
    this.ok(
      parsed.success,
      `${answer.asked}: the problem is not as it must be: ${parsed.error?.issues[0]?.path.join(".")}`,
    );
    this.equal(json.status, answer.status, `${answer.asked}: status in the problem`);
    this.equal(json.type, typeOf(json.code), `${answer.asked}: type of the problem`);
    this.ok(!/[\n\r]/.test(json.detail), `${answer.asked}: the detail has more than one line`);
    if (code !== undefined) this.equal(json.code, code, `${answer.asked}: code`);
    if (outcome !== undefined) this.equal(json.outcome, outcome, `${answer.asked}: outcome`);
    return json;
  }

  /** A reply that the route declares, and whose JSON has its shape. */
  declared(answer: Answer, id: RouteId): Json {
    const reply = routeOf(id).replies[answer.status];
    this.ok(reply !== undefined, `${answer.asked}: ${answer.status} is no reply of ${id}; ${clip(answer.text)}`);
    const type = mediaType(answer);
    const content = reply.content?.find((one) => one.type === type);
    this.ok(
      reply.content === undefined || content !== undefined,
      `${answer.asked}: ${show(type)} is no content of ${id}`,
    );
    if (content === undefined || !("schema" in content)) return undefined;
    const json = answer.json() as Json;
    const parsed = content.schema.safeParse(json);
    const issue = parsed.error?.issues[0];
    this.ok(parsed.success, `${answer.asked}: ${issue?.path.map(String).join(".")}: ${issue?.message}`);
    return json;
  }
}

export function mediaType({ headers }: Answer): string {
  return (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

function clip(text: string | undefined): string {
  const line = (text ?? "nothing").replace(/\s+/g, " ").trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}

/** The statuses that the table of errors allows for a code; `undefined` for a code of a later version. */
export function statusesOf(code: string): readonly number[] | undefined {
  const extra: Readonly<Record<string, readonly number[]>> = {
    INVALID: [400, 405, 413, 414, 415, 422, 428, 431, 501, 408, 417, 421],
    NOT_FOUND: [404, 410],
    CONFLICT: [409, 412],
  };
  if (!Object.hasOwn(KINDS, code)) return undefined;
  return extra[code] ?? [KINDS[code as keyof typeof KINDS].status];
}
