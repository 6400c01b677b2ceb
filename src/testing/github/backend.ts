import { spawn } from "node:child_process";
import type { IncomingHttpHeaders } from "node:http";
import { dirname } from "node:path";
import type { Reply } from "./http.ts";
import { GIT_ENV } from "./process.ts";
import type { Repository } from "./world.ts";

interface BackendRequest {
  readonly method: string;
  /** Below the repository: `/info/refs`, `/git-receive-pack`, … */
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly login: string;
}

/** Clone and push, by Git's own CGI program. */
export async function gitBackend(repository: Repository, request: BackendRequest): Promise<Reply> {
  const { gitDir } = repository.store;
  const header = (name: string) => String(request.headers[name] ?? "");
  const child = spawn("git", ["http-backend"], {
    env: {
      ...GIT_ENV,
      GIT_PROJECT_ROOT: dirname(gitDir),
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: `/repo.git${request.path}`,
      REQUEST_METHOD: request.method,
      QUERY_STRING: request.query,
      CONTENT_TYPE: header("content-type"),
      HTTP_CONTENT_ENCODING: header("content-encoding"),
      GIT_PROTOCOL: header("git-protocol"),
      REMOTE_USER: request.login,
      REMOTE_ADDR: "127.0.0.1",
      // A folder of another owner than the process, as in a container.
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  child.stdin.on("error", () => {});
  child.stdin.end(request.body);
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  const out = Buffer.concat(chunks);
  const end = out.indexOf("\r\n\r\n");
  const headers: Record<string, string> = {};
  for (const line of out.toString("latin1", 0, Math.max(end, 0)).split("\r\n")) {
    const [, name = "", value = ""] = /^([^:]+): *(.*)$/.exec(line) ?? [];
    if (name !== "") headers[name.toLowerCase()] = value;
  }
  const { status = "200", "content-type": type = "text/plain", ...rest } = headers;
  return { status: Number.parseInt(status, 10), headers: rest, bytes: out.subarray(end + 4), type };
}
