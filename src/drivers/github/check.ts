import type { HealthCheck, Operation } from "../../driver.ts";
import { isRegistryError } from "../../errors.ts";
import { encodePath, type Quota } from "./client.ts";
import { header } from "./failure.ts";
import type { Session } from "./session.ts";

type Look = () => Promise<Omit<HealthCheck, "name">>;

/** Credentials, repository, branch, the right to write, rules of the branch, and what is left of the limits. */
export async function checkGithub(session: Session, op: Operation | undefined): Promise<HealthCheck[]> {
  const { client } = session;
  const { settings, repoPath } = client;
  const { signal } = op ?? {};
  const checks: HealthCheck[] = [];
  const look = async (name: string, run: Look): Promise<boolean> => {
    try {
      const found = await run();
      checks.push({ name, ...found });
      return found.ok;
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      checks.push({ name, ok: false, detail: error.message });
      return false;
    }
  };
  let mayPush: boolean | undefined;
  const isThere = await look("repository", async () => {
    const reply = await session.repository();
    const {
      permissions,
      archived,
      private: isPrivate,
    } = reply.data as {
      permissions?: { push?: boolean };
      archived?: boolean;
      private?: boolean;
    };
    mayPush = archived === true ? false : permissions?.push;
    const scopes = header(reply, "x-oauth-scopes");
    const told = scopes === undefined ? "" : `; scopes of the token: ${scopes === "" ? "none" : scopes}`;
    const state = archived === true ? "archived" : isPrivate === true ? "private" : "public";
    return { ok: archived !== true, detail: `${settings.owner}/${settings.repo} is there, ${state}${told}` };
  });
  if (!isThere) return checks;
  const hasBranch = await look("branch", async () => {
    const { commit } = await session.current();
    return { ok: true, detail: `${await session.branch()} is at ${commit.slice(0, 12)}` };
  });
  const mayTry = op?.probe !== false;
  if (mayTry)
    await look("write", async () => {
      if (mayPush === false) return { ok: false, detail: "the token may read, not write; it needs contents: write" };
      // A blob that nothing points at: it proves the right, and changes nothing.
      await client.send({
        method: "POST",
        path: `${repoPath}/git/blobs`,
        operation: "writing a blob",
        body: { content: "prompt-registry check\n", encoding: "utf-8" },
        signal,
      });
      return { ok: true, detail: "the token may write" };
    });
  if (hasBranch && mayTry) await look("rules", () => rules(session, signal));
  await look("limits", async () => {
    const reply = await client.send({
      method: "GET",
      path: "/rate_limit",
      operation: "reading the limits",
      signal,
      accept: [404],
    });
    if (reply.status === 404) return { ok: true, detail: "this server has none" };
    const { resources = {} } = reply.data as {
      resources?: Record<string, { limit: number; remaining: number; reset: number }>;
    };
    const quotas = ["core", "graphql"].flatMap((name) => {
      const found = resources[name];
      return found === undefined ? [] : [{ name, ...found, reset: found.reset * 1000 }];
    });
    return quotaCheck(quotas);
  });
  return checks;
}

function quotaCheck(quotas: readonly (Quota & { readonly name: string })[]): Omit<HealthCheck, "name"> {
  const figures: Record<string, number | string> = {};
  for (const { name, limit, remaining, reset } of quotas) {
    figures[`${name}Limit`] = limit;
    figures[`${name}Remaining`] = remaining;
    figures[`${name}Reset`] = new Date(reset).toISOString();
  }
  const told = quotas.map(({ name, limit, remaining, reset }) => {
    return `${name}: ${remaining} of ${limit} left until ${new Date(reset).toISOString()}`;
  });
  return { ok: quotas.every(({ remaining }) => remaining > 0), detail: told.join("; ") || "not told", figures };
}

/** What can be told without being an administrator: https://docs.github.com/rest/repos/rules#get-rules-for-a-branch */
async function rules(
  { client, knownBranch }: Session,
  signal: AbortSignal | undefined,
): Promise<Omit<HealthCheck, "name">> {
  const reply = await client.send({
    method: "GET",
    path: `${client.repoPath}/rules/branches/${encodePath(knownBranch ?? "")}`,
    operation: "reading the rules of the branch",
    signal,
    accept: [403, 404],
  });
  if (reply.status >= 400 || !Array.isArray(reply.data)) return { ok: true, detail: "can't be told by this token" };
  const types = new Set((reply.data as { type?: string }[]).map(({ type }) => String(type)));
  const stops = ["pull_request", "update", "required_signatures", "merge_queue"].filter((type) => types.has(type));
  const guards = ["non_fast_forward", "deletion"].filter((type) => !types.has(type));
  const open =
    guards.length === 0 ? "" : `; nothing keeps the branch from being rewritten (no ${guards.join(", no ")} rule)`;
  if (stops.length === 0) return { ok: true, detail: `direct pushes are allowed${open}` };
  const signs = stops.length === 1 && stops[0] === "required_signatures" && client.settings.writes === "graphql";
  return {
    ok: signs,
    detail: `${stops.join(", ")}: the branch may not take direct pushes; propose changes instead${open}`,
  };
}
