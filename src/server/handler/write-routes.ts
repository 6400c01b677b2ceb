import { isSealed, openStored, readSeal } from "../../document.ts";
import type { HistoryAction, ReadAnswer } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import { type Label, parseLabel } from "../../names.ts";
import type { PointerResult } from "../../registry/pointers.ts";
import type { StoreRequest } from "../../registry/request.ts";
import { PromptRegistry } from "../../registry.ts";
import type { Version } from "../../semver.ts";
import { StatusError } from "../protocol/problem.ts";
import { require } from "./authorize.ts";
import { tagsOf } from "./coding.ts";
import type { Call, Result, RouteHandler } from "./context.ts";
import { nameOf } from "./read-routes.ts";

/** A registry in the name of the caller: its author, this server's clock, and the id that the caller chose. */
function registryOf(call: Call): PromptRegistry {
  const { guarded, now } = call.shared;
  const key = keyOf(call);
  return new PromptRegistry(guarded, {
    author: call.principal.name,
    now,
    ...(key === undefined ? {} : { newId: () => key }),
  });
}

function keyOf({ request }: Call): string | undefined {
  const key = request.headers.get("idempotency-key") ?? undefined;
  if (key === undefined || /^[\x21-\x7e]{1,200}$/.test(key)) return key;
  throw new StatusError(400, "INVALID", "Idempotency-Key must be 1 to 200 visible ASCII characters", {
    field: "Idempotency-Key",
  });
}

/** A change that was made under this key already, as the history of the prompt tells. */
async function doneBefore(call: Call, action: HistoryAction) {
  const key = keyOf(call);
  if (key === undefined) return undefined;
  const { items } = await call.shared.driver.history(nameOf(call), { limit: 100 }, { fresh: true });
  const entry = items.find(({ commit }) => commit === key);
  if (entry === undefined) return undefined;
  if (entry.action === action && entry.by === call.principal.name) return entry;
  throw new StatusError(422, "INVALID", "this Idempotency-Key was used for another change", {
    field: "Idempotency-Key",
  });
}

/** `message` of the query or the body. The request's signal is left out: what has begun is brought to its end. */
function messageOf({ query, body }: Call): { readonly message?: string } {
  const given = (query.message ?? (typeof body === "object" ? (body as { message?: string }).message : undefined)) as
    | string
    | undefined;
  return given === undefined ? {} : { message: given };
}

function pointer(call: Call, result: PointerResult, status = 200): Result {
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
  if (now !== undefined && (tags === "*" || tags.includes(openStored(now.text, now).digest))) return now.version;
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

async function putLabel(call: Call): Promise<Result> {
  const { version } = call.body as { version: string };
  const expect = await expectation(call, true);
  const result = await under(call, expect, (e) =>
    registryOf(call).setLabel(nameOf(call), call.params.label as Label, version, { ...messageOf(call), expect: e }),
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

async function rollback(call: Call): Promise<Result> {
  const name = nameOf(call);
  const before = await doneBefore(call, "rollback");
  if (before !== undefined) {
    const { to, from } = before;
    return pointer(call, {
      name,
      status: "unchanged",
      ...(to === undefined ? {} : { version: to }),
      ...(from === undefined ? {} : { from }),
    });
  }
  const { to } = call.body as { to?: string };
  return pointer(
    call,
    await registryOf(call).rollback(name, { ...messageOf(call), ...(to === undefined ? {} : { to }) }),
  );
}

function versionOf(call: Call): Version {
  const version = call.params.version as Version;
  call.note.version = version;
  return version;
}

export const writeRoutes = {
  "versions.put": putVersion,
  "versions.post": (call) =>
    store(call, { name: nameOf(call), ...(call.body as Omit<StoreRequest, "name">) } as StoreRequest),
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
  "rollback.post": rollback,
  "pin.delete": async (call) => pointer(call, await registryOf(call).unpin(nameOf(call), messageOf(call))),
  "deprecation.put": async (call) =>
    pointer(call, await registryOf(call).deprecate(nameOf(call), (call.body as { message: string }).message)),
  "deprecation.delete": async (call) => pointer(call, await registryOf(call).deprecate(nameOf(call), null)),
} satisfies Record<string, RouteHandler>;
