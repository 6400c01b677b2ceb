import { afterAll, beforeAll, beforeEach, vi } from "vitest";
import { github } from "../../src/drivers/github/index.ts";
import { PromptRegistry } from "../../src/registry.ts";
import { type GitHubRepositoryHandle, type GitHubServer, startGitHub } from "../../src/testing/github/index.ts";
import { World } from "../cli/world.ts";
import { validateExchange } from "./github-openapi/validate.ts";
import { git, testOptions } from "./github-world.ts";

interface Pull {
  readonly number: number;
  readonly title: string;
  readonly body: string;
  readonly head: { readonly ref: string };
}

/** A server of which every exchange is checked, with a new repository for each test of a file. */
export function proposalTeam() {
  let server: GitHubServer;
  let place: GitHubRepositoryHandle;
  let number = 0;

  beforeAll(async () => {
    server = await startGitHub({ validate: validateExchange });
  });
  beforeEach(async () => {
    server.reset();
    place = await server.addRepository({ name: `team-${++number}` });
    vi.stubEnv("GITHUB_TOKEN", "");
    vi.stubEnv("GH_TOKEN", "");
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server.checkRepositories();
    await server.close();
  });

  const options = () => testOptions(server, place);
  const open = async (more: object = {}) =>
    new PromptRegistry(await github({ ...options(), ...more }), { author: "ada" });
  const tip = (branch: string) =>
    git(place.gitDir, ["rev-parse", `refs/heads/${branch}`])
      .toString()
      .trim();
  const branches = () =>
    git(place.gitDir, ["for-each-ref", "--format=%(refname:short)", "refs/heads/"]).toString().trim().split("\n");

  /** Command lines against the repository, as a person has it configured. */
  function cli(more: object = {}) {
    const world = new World();
    world.real = true;
    const { token: _, ...storage } = { ...options(), backend: "github", ...more };
    world.file("prompt-registry.config.json", JSON.stringify({ storage, author: "ada" }));
    vi.stubEnv("GITHUB_TOKEN", server.token);
    const run = async (...argv: string[]) => {
      const ran = await world.run(...argv);
      return { ...ran, all: ran.out + ran.err };
    };
    const push = (text: string, ...argv: string[]) => pushTo("support/triage", text, ...argv);
    const pushTo = (name: string, text: string, ...argv: string[]) =>
      world.runWith({ stdin: text }, "push", name, "-", ...argv).then((ran) => ({ ...ran, all: ran.out + ran.err }));
    return { world, run, push, pushTo };
  }

  async function api(method: string, path: string, body?: unknown) {
    const response = await fetch(`${server.url}/repos/${place.owner}/${place.repo}/${path}`, {
      method,
      headers: { authorization: `Bearer ${server.token}`, accept: "application/vnd.github+json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return await response.json();
  }

  async function pulls(): Promise<[Pull, ...Pull[]]> {
    return (await api("GET", "pulls?state=open")) as [Pull, ...Pull[]];
  }

  return {
    get server() {
      return server;
    },
    get place() {
      return place;
    },
    ...{ options, open, tip, branches, cli, api, pulls },
  };
}
