import type { PromptRegistry } from "../../registry.ts";
import { createHandler, type HandlerOptions } from "../handler.ts";
import { DEFAULT_LIMITS } from "../operations/limits.ts";
import { pollOf } from "../operations/watch.ts";
import { type ListenOptions, listen, type RunningServer } from "./server.ts";

export interface ServeOptions extends ListenOptions, Omit<HandlerOptions, "access" | "maxBodyBytes" | "maxStreams"> {}

/**
 * Serves a registry over HTTP on Node, with everything around the handler that a server needs: limits, health, metrics,
 * logs, and an end that loses no request.
 *
 * @param options `access` decides who may do what; there is no default
 * @throws RegistryError CONFIG for options that can't be, a port that is taken, or an address that others reach without
 *   access that lets nobody unknown change anything
 * @example
 * const access = createAccess({ tokens: fileTokens("./tokens.jsonl") });
 * const server = await serve(registry, { access, port: 7420 });
 * console.log(server.url);
 * process.once("SIGTERM", async () => {
 *   await server.stop();
 *   await registry.close();
 * });
 */
export async function serve(registry: PromptRegistry, options: ServeOptions): Promise<RunningServer> {
  const { bodyBytes = DEFAULT_LIMITS.bodyBytes, streams = DEFAULT_LIMITS.streams } = options.limits ?? {};
  const { observe } = options;
  // Those who look at the feed, for caches and for what lies ready, do it equally often.
  const poll = options.poll ?? pollOf(registry);
  const pollInterval = options.pollInterval ?? poll;
  let close: (() => void) | undefined;
  const server = await listen(
    registry,
    (given) => {
      const handler = createHandler(registry, {
        ...options,
        ...(pollInterval === undefined ? {} : { pollInterval }),
        access: given.access,
        maxBodyBytes: bodyBytes,
        maxStreams: streams,
        observe(event) {
          given.observe(event);
          observe?.(event);
        },
      });
      close = () => handler.close();
      return handler;
    },
    poll === undefined ? options : { ...options, poll },
  ).catch((error: unknown) => {
    close?.();
    throw error;
  });
  return {
    ...server,
    async stop(drain) {
      const cut = await server.stop(drain);
      close?.();
      return cut;
    },
  };
}
