import { abortError, RegistryError, show } from "../errors.ts";

export interface AskOptions {
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds. Default 30,000. */
  readonly timeout?: number | undefined;
  /** For messages. */
  readonly operation: string;
}

export interface Ask extends AskOptions {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly form?: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** `{}` for a body that is no JSON object. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The body was a JSON object. */
  readonly isJson: boolean;
}

/** More than any of these replies has. */
const MAX_BYTES = 1_000_000;

/**
 * One request that may carry a secret: redirects are not followed, nothing is tried twice, and no message repeats what was
 * sent or answered.
 *
 * @throws RegistryError UNAVAILABLE, TIMEOUT, ABORTED; answers of 500 and more are UNAVAILABLE too
 */
export async function ask(url: string, options: Ask): Promise<Answer> {
  const { fetch = globalThis.fetch, signal, timeout = 30_000, operation, form, json, headers } = options;
  const where = new URL(url).origin;
  const deadline = AbortSignal.timeout(timeout);
  let status: number;
  let text: string;
  let replied: Headers;
  try {
    const response = await fetch(url, {
      method: options.method ?? "GET",
      redirect: "manual",
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      headers: {
        accept: "application/json",
        "user-agent": "prompt-registry",
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(form === undefined ? {} : { body: new URLSearchParams(form) }),
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    status = response.status;
    replied = response.headers;
    text = (await response.text()).slice(0, MAX_BYTES);
  } catch (cause) {
    if (signal?.aborted) throw abortError(signal, operation);
    if (deadline.aborted) {
      throw new RegistryError("TIMEOUT", `${where}: ${operation} got no answer within ${timeout} ms; try again`, {
        operation,
        cause,
      });
    }
    throw unavailable(`${where}: ${operation} broke off on the way; try again`, operation);
  }
  if (status >= 500) throw unavailable(`${where} answered ${operation} with status ${status}; try again`, operation);
  const body = objectOf(text);
  return { status, headers: replied, body: body ?? {}, isJson: body !== undefined };
}

function unavailable(message: string, operation: string): RegistryError {
  return new RegistryError("UNAVAILABLE", message, { operation, backend: "github" });
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** GitHub's own words about a refusal, for a message. */
export function saying({ body }: Pick<Answer, "body">): string {
  const { message, error_description: description, error } = body;
  const text = [message, description, error].find((one) => typeof one === "string" && one !== "");
  return text === undefined ? "" : `: ${show(text, 200)}`;
}
