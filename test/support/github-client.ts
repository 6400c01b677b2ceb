import type { GitHubServer } from "../../src/testing/github/index.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked at field by field
  readonly body: any;
}

export interface AskOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | undefined;
}

/** Asks a GitHub without any client library between. A path without a leading slash is one of the repository's. */
export function client(server: Pick<GitHubServer, "url" | "owner" | "repo" | "token">) {
  async function ask(method: string, path: string, options: AskOptions = {}): Promise<Answer> {
    const url = path.startsWith("http")
      ? path
      : path.startsWith("/")
        ? server.url + path
        : `${server.url}/repos/${server.owner}/${server.repo}${path === "" ? "" : `/${path}`}`;
    const token = "token" in options ? options.token : server.token;
    const response = await fetch(url, {
      method,
      redirect: "manual",
      headers: {
        accept: "application/vnd.github+json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const isJson =
      /json/.test(response.headers.get("content-type") ?? "") &&
      !/raw/.test(response.headers.get("content-type") ?? "");
    return {
      status: response.status,
      headers: response.headers,
      body: isJson && bytes.length > 0 ? JSON.parse(bytes.toString("utf8")) : bytes.toString("utf8"),
    };
  }

  const get = (path: string, options?: AskOptions) => ask("GET", path, options);
  const head = async (branch = "main"): Promise<string> => (await get(`git/ref/heads/${branch}`)).body.object.sha;

  return {
    ask,
    get,
    post: (path: string, body: unknown, options?: AskOptions) => ask("POST", path, { ...options, body }),
    patch: (path: string, body: unknown, options?: AskOptions) => ask("PATCH", path, { ...options, body }),
    put: (path: string, body: unknown, options?: AskOptions) => ask("PUT", path, { ...options, body }),
    graphql: async (query: string, variables?: unknown, options?: AskOptions) =>
      (await ask("POST", "/graphql", { ...options, body: { query, variables } })).body,
    head,
    /** One commit by the Git data API; answers its id. */
    async commit(files: Readonly<Record<string, string | null>>, branch = "main"): Promise<string> {
      const parent = await head(branch);
      const tree = Object.entries(files).map(([path, content]) => ({
        path,
        mode: "100644",
        type: "blob",
        ...(content === null ? { sha: null } : { content }),
      }));
      const made = await ask("POST", "git/trees", { body: { base_tree: parent, tree } });
      const body = { message: "change", tree: made.body.sha, parents: [parent] };
      const { sha } = (await ask("POST", "git/commits", { body })).body;
      await ask("PATCH", `git/refs/heads/${branch}`, { body: { sha } });
      return sha;
    },
  };
}
