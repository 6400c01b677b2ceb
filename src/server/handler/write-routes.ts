import { isSealed, openStored, readSeal } from "../../document.ts";
import type { ReadAnswer, StorageDriver } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { type Label, parseLabel, parseSelector } from "../../names.ts";
import { createContext } from "../../registry/context.ts";
import type { PointerResult } from "../../registry/pointers.ts";
import { Reader } from "../../registry/read.ts";
import type { StoreRequest } from "../../registry/request.ts";
import { PromptRegistry } from "../../registry.ts";
import type { Version } from "../../semver.ts";
import { StatusError } from "../protocol/problem.ts";
import { require } from "./authorize.ts";
import { tagsOf } from "./coding.ts";
import type { Call, Result, RouteHandler } from "./context.ts";
import { askPolicy, overrideNote, withCheck } from "./policy.ts";
import { nameOf } from "./read-routes.ts";

/** A registry in the name of the caller: its author, and this server's clock. */
export function registryOf(call: Call, driver: StorageDriver = guarded(call), id?: string): PromptRegistry {
  return new PromptRegistry(driver, {
    author: call.principal.name,
    now: call.shared.now,
    ...(id === undefined ? {} : { newId: () => id }),
  });
}

/** The storage, where publishing asks the policy first. */
function guarded({ shared, note }: Call): StorageDriver {
  const { policy } = shared.options;
  if (policy === undefined) return shared.driver;
  return withCheck(shared.driver, async ({ changes }) => {
    for (const change of changes) {
      const override = overrideNote(await askPolicy(shared.driver, policy, change));
      if (override !== undefined) note.note = override;
    }
  });
}

/** `message` of the query or the body. The request's signal is left out: what has begun is brought to its end. */
export function messageOf({ query, body }: Call): { readonly message?: string } {
  const given = (query.message ?? (typeof body === "object" ? (body as { message?: string }).message : undefined)) as
    | string
    | undefined;
  return given === undefined ? {} : { message: given };
}

export function pointer(call: Call, result: PointerResult, status = 200): Result {
  const { version, from, status: outcome } = result;
  if (version !== undefined) call.note.to = version;
  if (from !== undefined) call.note.from = from;
  if (outcome === "unchanged") call.note.outcome = "unchanged";
  return { status, json: result };
}

async function store(call: Call, request: StoreRequest): Promise<Result> {
  const { access } = call.shared;
  const name = nameOf(call);
  const labels = (request.labels ?? []).map(parseLabel);
  for (const label of labels) require(access, call.principal, "promote", { name, label });
  if (request.unpin === true) require(access, call.principal, "promote", { name });
  let { text } = request;
  if (isSealed(text) && !access.allows(call.principal, "import", { name })) text = authorText(text);
  const result = await registryOf(call).storePrompt({ ...request, text });
  call.note.version = result.version;
  call.note.digest = result.digest;
  if (result.status === "unchanged") call.note.outcome = "unchanged";
  return {
    status: result.status === "created" ? 201 : 200,
    headers: { Location: `/v1/prompts/${name}/-/versions/${result.version}`, ETag: `"${result.digest}"` },
    json: result,
  };
}

/** Without the right to import, the text counts and the seal does not. */
function authorText(text: string): string {
  const opened = openStored(text, readSeal(text));
  if (opened.kind === "document") return opened.text;
  throw new RegistryError("INVALID", "this is the mark of a removed version, not a document", { field: "body" });
}

async function putVersion(call: Call): Promise<Result> {
  const condition = call.request.headers.get("if-none-match");
  if (condition === null) throw required("a version is written once: send If-None-Match: *");
  if (condition.trim() !== "*") {
    throw new StatusError(400, "INVALID", "If-None-Match must be *", { field: "If-None-Match" });
  }
  const { labels, expect, unpin } = call.query as { labels?: string; expect?: string; unpin?: string };
  return store(call, {
    name: nameOf(call),
    version: call.params.version as Version,
    text: call.body as string,
    ...messageOf(call),
    ...(labels === undefined || labels === "" ? {} : { labels: labels.split(",") }),
    ...(expect === undefined ? {} : { expect: expect === "none" ? null : expect }),
    ...(unpin === "true" ? { unpin: true } : {}),
  });
}

async function postVersion(call: Call): Promise<Result> {
  if (call.request.headers.has("idempotency-key")) {
    // There is no entry of the history to know it by, and to take it would promise what is not done.
    throw new StatusError(
      400,
      "INVALID",
      "Idempotency-Key is not taken here: PUT a version, or POST /v1/commits, which can be repeated",
      { field: "Idempotency-Key" },
    );
  }
  return store(call, { name: nameOf(call), ...(call.body as Omit<StoreRequest, "name">) } as StoreRequest);
}

function required(message: string): StatusError {
  return new StatusError(428, "INVALID", message, { field: "If-Match" });
}

/** What `If-Match` and `If-None-Match` say about a label as what the registry is told to expect. */
async function expectation(call: Call, mayBeNew: boolean): Promise<Version | null> {
  const { request, params, shared } = call;
  const match = request.headers.get("if-match");
  const noneMatch = request.headers.get("if-none-match");
  const name = nameOf(call);
  const label = params.label as Label;
  if (match === null && noneMatch === null) {
    throw required(
      mayBeNew
        ? `send If-Match with the ETag of label ${label}, or If-None-Match: * to set it where it is not set`
        : `send If-Match with the ETag of label ${label}, or If-Match: *`,
    );
  }
  if (noneMatch !== null) {
    if (mayBeNew && match === null && noneMatch.trim() === "*") return null;
    throw new StatusError(400, "INVALID", "send one precondition: If-Match, or If-None-Match: *", {
      field: "If-None-Match",
    });
  }
  const [answer] = await shared.driver.read([{ name, selector: { kind: "label", label } }], { fresh: true });
  const now =
    (answer as ReadAnswer).status === "found" ? (answer as ReadAnswer & { status: "found" }).document : undefined;
  const tags = tagsOf(match as string);
  // The tag of the author's text is one of the same version.
  const isMeant = (digest: string) => tags === "*" || tags.some((tag) => tag.replace(/;text$/, "") === digest);
  if (now !== undefined && isMeant(openStored(now.text, now).digest)) return now.version;
  throw failed(`label ${label} of ${name} is ${now === undefined ? "not set" : `on ${now.version}`}`, call);
}

function failed(why: string, call: Call): StatusError {
  return new StatusError(412, "CONFLICT", `${why}, which is not what the precondition says; look again and repeat`, {
    name: nameOf(call),
  });
}

/** Between the look and the change somebody may have moved the label: that is a precondition that fails, too. */
async function under<T>(
  call: Call,
  expect: Version | null,
  change: (expect: Version | null) => Promise<T>,
): Promise<T> {
  try {
    return await change(expect);
  } catch (error) {
    if (!isRegistryError(error, "CONFLICT") || error.context.label === undefined) throw error;
    throw failed(`label ${call.params.label} of ${nameOf(call)} is elsewhere`, call);
  }
}

/**
 * The version of a label that is where it is wanted already: a request whose reply was lost is sent again with the
 * precondition of then, and must not look like a lost race (RFC 9110, 13.1.1 allows the answer of success).
 */
async function there(call: Call, wanted: string): Promise<Version | undefined> {
  const { request, params, shared } = call;
  if (!request.headers.has("if-match") && !request.headers.has("if-none-match")) return undefined;
  const name = nameOf(call);
  const selector = { kind: "label", label: params.label as Label } as const;
  const [answer] = await shared.driver.read([{ name, selector }], { fresh: true });
  if (answer?.status !== "found") return undefined;
  const { version } = answer.document;
  if (version === wanted) return version;
  const meant = parseSelector(wanted);
  if (meant.kind === "version") return undefined;
  try {
    const reader = new Reader(createContext(shared.driver, {}));
    const [selected] = await reader.getMany([{ name, selector: meant }], {}, { fresh: true });
    return selected?.version === version ? version : undefined;
  } catch (error) {
    if (isRegistryError(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}

async function putLabel(call: Call): Promise<Result> {
  const { version } = call.body as { version: string };
  const already = await there(call, version);
  const expect = already ?? (await expectation(call, true));
  const wanted = already ?? version;
  const result = await under(call, expect, (e) =>
    registryOf(call).setLabel(nameOf(call), call.params.label as Label, wanted, { ...messageOf(call), expect: e }),
  );
  return pointer(call, result, expect === null && result.status === "changed" ? 201 : 200);
}

async function deleteLabel(call: Call): Promise<Result> {
  const expect = await expectation(call, false);
  const result = await under(call, expect, (e) =>
    registryOf(call).removeLabel(nameOf(call), call.params.label as Label, { ...messageOf(call), expect: e }),
  );
  return pointer(call, result);
}

function versionOf(call: Call): Version {
  const version = call.params.version as Version;
  call.note.version = version;
  return version;
}

export const writeRoutes = {
  "versions.put": putVersion,
  "versions.post": postVersion,
  "versions.delete": async (call) => {
    const removed = await registryOf(call).deleteVersion(nameOf(call), versionOf(call), messageOf(call));
    if (removed.status === "unchanged") call.note.outcome = "unchanged";
    return { status: 200, json: removed };
  },
  "versions.restore": async (call) => {
    const request = { name: nameOf(call), version: versionOf(call), text: call.body as string };
    return pointer(call, await registryOf(call).restoreVersion(request, messageOf(call)));
  },
  "prompt.delete": async (call) => {
    const removed = await registryOf(call).deletePrompt(nameOf(call), messageOf(call));
    if (removed.status === "unchanged") call.note.outcome = "unchanged";
    return { status: 200, json: removed };
  },
  "yank.put": async (call) =>
    pointer(call, await registryOf(call).yank(nameOf(call), versionOf(call), messageOf(call))),
  "yank.delete": async (call) =>
    pointer(call, await registryOf(call).unyank(nameOf(call), versionOf(call), messageOf(call))),
  "labels.put": putLabel,
  "labels.delete": deleteLabel,
  "pin.delete": async (call) => pointer(call, await registryOf(call).unpin(nameOf(call), messageOf(call))),
  "deprecation.put": async (call) =>
    pointer(call, await registryOf(call).deprecate(nameOf(call), (call.body as { message: string }).message)),
  "deprecation.delete": async (call) => pointer(call, await registryOf(call).deprecate(nameOf(call), null)),
} satisfies Record<string, RouteHandler>;
