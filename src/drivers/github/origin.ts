import { RegistryError, show } from "../../errors.ts";
import { type Client, encodePath } from "./client.ts";
import { createBranch, createRepository } from "./create.ts";
import { broken, header, messageOf, type Reply } from "./failure.ts";
import { isObjectId } from "./objects.ts";

/** The repository and the branch as GitHub tells them now, without any memory of what they were. */
export class Origin {
  readonly client: Client;
  #branch: string | undefined;
  #etag: { readonly tag: string; readonly commit: string } | undefined;

  constructor(client: Client) {
    this.client = client;
    this.#branch = client.settings.branch;
  }

  /** The name of the branch, where it is known without asking. */
  get known(): string | undefined {
    return this.#branch;
  }

  /** Takes a name that came with something else. */
  learn(branch: string): void {
    this.#branch ??= branch;
  }

  /**
   * @param mayCreate whether a repository that is not there is made, where the options say so too
   * @throws RegistryError CONFIG for a repository that is not there
   */
  async branch(mayCreate: boolean): Promise<string> {
    if (this.#branch !== undefined) return this.#branch;
    const { default_branch: name } = (await this.repository(mayCreate)).data as { default_branch?: unknown };
    if (typeof name !== "string" || name === "") throw this.#broken("reading the repository");
    this.#branch ??= name;
    return this.#branch;
  }

  /**
   * @param mayCreate as of {@link branch}
   * @throws RegistryError CONFIG where there is no such repository for this token
   */
  async repository(mayCreate: boolean): Promise<Reply> {
    const { repoPath, settings } = this.client;
    const operation = "reading the repository";
    const reply = await this.client.send({ method: "GET", path: repoPath, operation, accept: [404] });
    if (reply.status !== 404) return reply;
    if (messageOf(reply.data) === undefined) throw this.#broken(operation, reply.status);
    if (settings.create && mayCreate) return await createRepository(this.client);
    const hasToken = this.client.auth === undefined || (await this.client.auth.token()) !== undefined;
    const why = hasToken
      ? "for this token; check the name, and that the token may read it"
      : `without a token; check the name, or ${this.client.howToAuthenticate}`;
    throw this.#config(`there is no such repository ${why}`);
  }

  /** The commit that the branch is at, or GitHub's reply (404, or 409 of an empty repository) that there is none. */
  async head(branch: string): Promise<string | Reply> {
    const operation = "reading the branch";
    const reply = await this.client.send({
      method: "GET",
      path: `${this.client.repoPath}/git/ref/heads/${encodePath(branch)}`,
      operation,
      headers: this.#etag === undefined ? {} : { "if-none-match": this.#etag.tag },
      accept: [304, 404, 409],
    });
    if (reply.status === 304 && this.#etag !== undefined) return this.#etag.commit;
    if (reply.status === 404 || reply.status === 409) {
      if (messageOf(reply.data) === undefined) throw this.#broken(operation, reply.status);
      return reply;
    }
    const { ref, object } = reply.data as { ref?: unknown; object?: { sha?: unknown } };
    if (ref !== `refs/heads/${branch}` || !isObjectId(object?.sha)) throw this.#broken(operation);
    const tag = header(reply, "etag");
    this.#etag = tag === undefined ? undefined : { tag, commit: object.sha };
    return object.sha;
  }

  /** The next answer is to be a whole one: what "not modified" stands for was not to be believed. */
  forget(): void {
    this.#etag = undefined;
  }

  /**
   * What to do about a branch that is not there and never was. It does not say that a prompt is absent: the place where
   * prompts are is missing.
   *
   * @returns the commit that the branch is at, where it was to be made
   * @throws RegistryError CONFIG
   */
  async missing({ status }: Reply, branch: string): Promise<string> {
    const isEmpty = status === 409;
    if (!isEmpty || this.client.settings.create) {
      if (!isEmpty) await this.repository(true);
      if (this.client.settings.create) return await createBranch(this.client, branch, isEmpty);
      throw this.#config(`there is no branch ${show(branch)}; create it, or set create: true`);
    }
    throw this.#config(`the repository is empty; push a first commit, or set create: true`);
  }

  #config(problem: string): RegistryError {
    const { location } = this.client.settings;
    return new RegistryError("CONFIG", `${location}: ${problem}`, { backend: "github", location, field: "storage" });
  }

  #broken(operation: string, status?: number): RegistryError {
    const problem =
      status === undefined
        ? "got an answer that is none of GitHub's"
        : `got status ${status} from something that is not GitHub`;
    return broken(problem, { operation, location: this.client.settings.location, mutates: false });
  }
}
