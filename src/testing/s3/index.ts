import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { type Access, authenticate, authorize, checkOwner, type Key } from "./access.ts";
import { S3Failure } from "./failure.ts";
import type { Reply } from "./objects.ts";
import { operationOf } from "./operations.ts";
import { checkPolicy } from "./policy.ts";
import { readRequest, type S3Request } from "./request.ts";
import { Store } from "./store.ts";
import type {
  FakeCredentials,
  FakeS3,
  FakeS3Call,
  FakeS3Options,
  FakeS3Settings,
  FakeSession,
  FakeUser,
} from "./types.ts";
import { document } from "./xml.ts";

export type { BucketSettings, StoredObject } from "./bucket.ts";
export type { Policy, PolicyStatement } from "./policy.ts";
export type * from "./types.ts";

const ACCOUNT = "123456789012";

/**
 * A strict S3 in this process, on a free port of 127.0.0.1: signatures, sessions, policies, checksums, conditions and
 * errors are those of Amazon S3, as far as a registry uses them; what it does not implement it refuses (501). It can be
 * set to be as dishonest about conditional writes as some compatible stores are. Nothing is kept when it closes.
 *
 * @example
 * ```ts
 * const server = await fakeS3();
 * server.createBucket("prompts");
 * const client = new S3Client({
 *   endpoint: server.endpoint, region: server.region, credentials: server.credentials, forcePathStyle: true,
 * });
 * server.set({ dishonest: "serial" });
 * await server.close();
 * ```
 */
export async function fakeS3(options: FakeS3Options = {}): Promise<FakeS3> {
  const { region = "us-east-1", clock = Date.now } = options;
  let settings: FakeS3Settings = options;
  const keys = new Map<string, Key>();
  const store = new Store(region, clock);
  const calls: FakeS3Call[] = [];

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const now = settings;
    const arrived = store.writes;
    const id = randomBytes(8).toString("hex").toUpperCase();
    let request: S3Request | undefined;
    let operation = "";
    let accessKeyId: string | undefined;
    let reply: Reply;
    try {
      request = await readRequest(incoming);
      // Requests that came together are on their way together.
      await (now.latency === undefined || now.latency === 0 ? turn() : sleep(now.latency));
      const wanted = operationOf(request);
      operation = wanted.name;
      const principal = authenticate(request, keys, region, clock());
      accessKeyId = principal.accessKeyId;
      const access: Access = { principal, settings: now, arrived, prefixHidesAbsent: now.prefixHidesAbsent === true };
      const bucket = request.bucket === "" || operation === "CreateBucket" ? undefined : store.bucket(request.bucket);
      // What is deleted many at once is allowed one by one.
      if (operation !== "DeleteObjects") authorize(request, wanted.action, access);
      if (bucket !== undefined) checkOwner(bucket, request, principal, wanted);
      reply = await store.answer(request, wanted, access);
    } catch (error) {
      if (!(error instanceof S3Failure)) throw error;
      reply = failed(error, request, id);
    }
    calls.push({
      operation,
      bucket: request?.bucket ?? "",
      key: request?.key ?? "",
      status: reply.status,
      accessKeyId,
    });
    send(outgoing, request?.method ?? "", reply, id);
  }

  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));

  function register(user: FakeUser, more: Pick<Key, "token" | "expiresAt" | "sessionPolicy"> = {}): FakeCredentials {
    for (const policy of [...(user.policies ?? []), more.sessionPolicy]) if (policy !== undefined) checkPolicy(policy);
    const account = user.account ?? ACCOUNT;
    const accessKeyId = `${more.token === undefined ? "AKIA" : "ASIA"}${randomBytes(8).toString("hex").toUpperCase()}`;
    const secretAccessKey = randomBytes(30).toString("base64");
    const arn = `arn:aws:iam::${account}:user/${accessKeyId.slice(-4).toLowerCase()}`;
    keys.set(accessKeyId, { ...more, arn, account, policies: user.policies, secret: secretAccessKey });
    return { accessKeyId, secretAccessKey, ...(more.token === undefined ? {} : { sessionToken: more.token }) };
  }

  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region,
    account: ACCOUNT,
    credentials: register({}),
    calls,
    clearCalls() {
      calls.length = 0;
    },
    counts() {
      const counts: Record<string, number> = {};
      for (const { operation } of calls) counts[operation] = (counts[operation] ?? 0) + 1;
      return counts;
    },
    set(changed) {
      settings = { ...settings, ...changed };
    },
    createBucket(name, chosen = {}) {
      store.create(name, { region, owner: ACCOUNT, requesterPays: false, ...chosen });
    },
    createUser: (user = {}) => register(user),
    createSession({ sessionPolicy, expiresAt, ...user }: FakeSession) {
      return register(user, { token: randomBytes(48).toString("base64"), expiresAt, sessionPolicy });
    },
    object: (bucket, key) => store.bucket(bucket).current(key),
    keys(name, prefix = "") {
      const bucket = store.bucket(name);
      return [...bucket.keys(prefix)].filter((key) => bucket.current(key) !== undefined);
    },
    damage: (bucket, key, edit) => store.damage(bucket, key, edit),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function failed(
  { code, message, details, status, headers }: S3Failure,
  request: S3Request | undefined,
  id: string,
): Reply {
  const Resource = request?.path ?? "/";
  const body = document("Error", {
    Code: code,
    Message: message,
    ...details,
    Resource,
    RequestId: id,
    HostId: `${id}/fake`,
  });
  return { status, headers: { "content-type": "application/xml", ...headers }, body };
}

function send(outgoing: ServerResponse, method: string, { status, headers = {}, body = "" }: Reply, id: string): void {
  const bytes = Buffer.from(body);
  const bare = status === 204 || status === 304;
  outgoing.writeHead(status, {
    server: "AmazonS3",
    "x-amz-request-id": id,
    "x-amz-id-2": `${id}/fake`,
    ...(bare ? {} : { "content-length": bytes.length }),
    ...(typeof body === "string" && body !== "" ? { "content-type": "application/xml" } : {}),
    ...headers,
  });
  outgoing.end(method === "HEAD" || bare ? undefined : bytes);
}
