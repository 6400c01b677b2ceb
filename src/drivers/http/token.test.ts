import { afterEach, describe, expect, test, vi } from "vitest";
import type { Context } from "../../cli/command.ts";
import { withBoth } from "../../cli/transfer.ts";
import { type OpenOptions, openRegistry } from "../../config.ts";
import { PROBLEM_TYPE } from "../../server/protocol/problem.ts";
import { http } from "./index.ts";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

const MAIN = "https://main.example";
const OTHER = "https://other.example";

/** Nobody answers as a registry would; what was sent to whom is noted. */
function listening() {
  const sent = new Map<string, string | null>();
  const answer = async (request: Request) => {
    sent.set(new URL(request.url).origin, request.headers.get("authorization"));
    return new Response("", { status: 502 });
  };
  vi.stubGlobal("fetch", answer);
  return { sent, fetch: answer };
}

async function opened(config: Parameters<typeof openRegistry>[0], options: OpenOptions = {}) {
  const { sent } = listening();
  const registry = await openRegistry(config, { env: {}, configFile: false, ...options });
  await registry.close();
  return Object.fromEntries(sent);
}

describe("the token of the environment is for one origin", () => {
  test("that of the main storage, and not for mirrors, fallbacks and routes", async () => {
    vi.stubEnv("PROMPT_REGISTRY_TOKEN", "prg_secret");
    expect(await opened(MAIN)).toEqual({ [MAIN]: "Bearer prg_secret" });
    expect(await opened({ storage: MAIN, fallback: [OTHER] })).toEqual({ [MAIN]: "Bearer prg_secret", [OTHER]: null });
    expect(await opened({ storage: MAIN, mirror: { to: OTHER } })).toMatchObject({ [OTHER]: null });
    expect(await opened({ storage: MAIN, route: [{ names: "x/**", storage: OTHER }] })).toMatchObject({
      [OTHER]: null,
    });
    expect(await opened({ storage: "memory:", fallback: [OTHER] })).toEqual({ [OTHER]: null });
    expect(await opened({ storage: MAIN, fallback: [`${MAIN}/two`] })).toEqual({ [MAIN]: "Bearer prg_secret" });
  });

  test("that which is named, whatever the main storage is", async () => {
    vi.stubEnv("PROMPT_REGISTRY_TOKEN", "prg_secret");
    vi.stubEnv("PROMPT_REGISTRY_TOKEN_ORIGIN", `${OTHER}/`);
    expect(await opened({ storage: MAIN, fallback: [OTHER] })).toEqual({ [MAIN]: null, [OTHER]: "Bearer prg_secret" });
    const { sent, fetch } = listening();
    await http({ url: MAIN, fetch }).catch(() => {});
    expect(sent.get(MAIN)).toBeNull();
    vi.stubEnv("PROMPT_REGISTRY_TOKEN_ORIGIN", "main.example");
    await expect(opened(MAIN)).rejects.toMatchObject({ code: "CONFIG" });
  });

  test("a token that is given for a place goes there", async () => {
    vi.stubEnv("PROMPT_REGISTRY_TOKEN", "prg_secret");
    const other = { backend: "http", url: OTHER, token: "prg_other" } as const;
    expect(await opened({ storage: MAIN, fallback: [other] })).toEqual({
      [MAIN]: "Bearer prg_secret",
      [OTHER]: "Bearer prg_other",
    });
  });

  test("one side of a copy at most", async () => {
    vi.stubEnv("PROMPT_REGISTRY_TOKEN", "prg_secret");
    const between = async (first: string, second: string, env: Record<string, string> = {}) => {
      const { sent } = listening();
      await withBoth({ io: { cwd: "/", env } } as unknown as Context, [first, second], [], async () => {});
      return Object.fromEntries(sent);
    };
    expect(await between(MAIN, OTHER)).toEqual({ [MAIN]: "Bearer prg_secret", [OTHER]: null });
    expect(await between("memory:", OTHER)).toEqual({ [OTHER]: "Bearer prg_secret" });
    expect(await between(OTHER, MAIN, { PROMPT_REGISTRY_STORAGE: MAIN })).toEqual({
      [MAIN]: "Bearer prg_secret",
      [OTHER]: null,
    });
    expect(await between(OTHER, "memory:", { PROMPT_REGISTRY_STORAGE: MAIN })).toEqual({ [OTHER]: null });
  });

  test("a server that wants one is told why none came", async () => {
    const body = JSON.stringify({
      ...{ type: "/problems/unauthenticated", title: "No valid credentials", status: 401 },
      ...{ detail: "no credentials were sent", code: "UNAUTHENTICATED", outcome: "final" },
    });
    const fetch = async () => new Response(body, { status: 401, headers: { "content-type": PROBLEM_TYPE } });
    const env = { PROMPT_REGISTRY_TOKEN: "prg_secret", PROMPT_REGISTRY_TOKEN_ORIGIN: MAIN };
    const error = await http({ url: OTHER, env, fetch }).catch((e: Error) => e);
    expect(error).toMatchObject({
      code: "UNAUTHENTICATED",
      message: expect.stringContaining(`PROMPT_REGISTRY_TOKEN is for ${MAIN} and not sent to ${OTHER}`),
    });
    expect(String(error)).not.toContain("prg_secret");
  });
});
