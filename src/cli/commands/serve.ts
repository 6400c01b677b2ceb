import { RegistryError, show } from "../../errors.ts";
import type { ConfiguredServer } from "../../server/configured.ts";
import { usageError } from "../args.ts";
import { type Context, defineCommand, type Values } from "../command.ts";
import { configuredFor } from "../configured.ts";
import { count } from "../layout.ts";

const DRAIN = 10_000;
/** As for everything that may go better the next time. */
const CUT_OFF = 7;

const OPTIONS = {
  host: { type: "string", value: "HOST", help: "the address to listen on; default: 127.0.0.1" },
  port: { type: "string", value: "N", help: "the port; 0 takes a free one; default: 7420" },
  tokens: { type: "string", value: "URL", help: "where API tokens are kept; default: beside the storage" },
  audit: { type: "string", value: "URL", help: "where the audit log is kept, or none; default: beside the storage" },
  anonymous: {
    type: "string",
    multiple: true,
    value: "SCOPE",
    help: "what callers without a token may do: read, or read:PREFIX",
  },
  open: { type: "boolean", help: "everybody on this machine may do everything" },
  "no-web": { type: "boolean", help: "without the web page" },
  "tls-cert": { type: "string", value: "FILE", help: "the certificate, PEM; read again at SIGHUP", complete: "file" },
  "tls-key": { type: "string", value: "FILE", help: "its key, PEM", complete: "file" },
  "allow-host": {
    type: "string",
    multiple: true,
    value: "HOST",
    help: "only this Host is answered, as clients write it",
  },
  "trust-proxy": {
    type: "string",
    multiple: true,
    value: "NET",
    help: "an address or network whose X-Forwarded-For is believed",
  },
  "metrics-port": { type: "string", value: "N", help: "also serve /metrics there, on 127.0.0.1, without a token" },
  log: { type: "string", choices: ["all", "errors", "off"], value: "WHAT", help: "which requests are logged" },
  drain: { type: "string", value: "TIME", help: "how long requests may take after a signal to stop; default: 10s" },
} as const;

export const command = defineCommand({
  usage: [""],
  details: [
    "Serves the storage, with its layers, over HTTP: to programs, and to people as a web page (not with --no-web).",
    "Everybody needs a token (see `prompt-registry token`) unless --anonymous or --open says otherwise; --open works for",
    "this machine's own address only. Lines of JSON about requests go to stderr. SIGTERM or SIGINT stops it: no new",
    "requests, those under way are finished (exit 0), or cut off after --drain (exit 7); a second signal ends it at once.",
    "What stands here may also stand in `server` of the configuration file.",
  ],
  arguments: [],
  options: OPTIONS,
  examples: [
    ["prompt-registry serve --open", "try it on this machine"],
    ["prompt-registry serve --storage sqlite:./registry.db", "serve a database to those who have a token"],
    ["prompt-registry serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem", "serve a network, encrypted"],
  ],
  async run(context, { values }) {
    const { io, terminal } = context;
    terminal.stopProgress();
    const config = await configOf(context, values);
    const { serveConfigured } = await import("../../server/configured.ts");
    const { packageVersion } = await import("../help.ts");
    const { tokens, audit, anonymous, open } = values;
    // Supervisors and log rotation send it to every server: without anybody to hear it, it would end this one at once.
    let server: ConfiguredServer | undefined;
    const onHangup = () => reload(context, server);
    process.on("SIGHUP", onHangup);
    try {
      server = await serveConfigured(config, {
        ...{ tokens, audit, anonymous, open, cwd: io.cwd },
        ...(values["no-web"] === true ? { web: false } : {}),
        version: await packageVersion(),
        log: (lines) => void io.stderr.write(lines),
      });
      if (open === true) terminal.warn("everybody who reaches it may do everything");
      else if (server.tokens === 0) terminal.warn("there is no token yet; see `prompt-registry token create --help`");
      if (server.pageless !== undefined) terminal.warn(`there is no web page: ${server.pageless}`);
      terminal.note(`serving at ${server.url}`);
      if (server.metricsUrl !== undefined) terminal.note(`metrics at ${server.metricsUrl}`);
      const { url, metricsUrl } = server;
      if (context.json) terminal.json({ url, ...(metricsUrl === undefined ? {} : { metricsUrl }), pid: process.pid });
      await interrupted(context.signal);
      terminal.note("stopping");
      const cut = await server.stop(config.server?.drain ?? DRAIN);
      if (cut > 0) terminal.warn(`${count(cut, "request")} took too long and were cut off`);
      return cut > 0 ? CUT_OFF : undefined;
    } finally {
      process.off("SIGHUP", onHangup);
    }
  },
});

function interrupted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** @param server `undefined` while it starts, when it has just read everything */
function reload({ terminal }: Context, server: ConfiguredServer | undefined): void {
  try {
    server?.reloadTls();
  } catch (error) {
    terminal.warn(`${(error as Error).message}; the old ones stay in use`);
  }
}

/** The configuration, with what the command line says instead. */
async function configOf(context: Context, values: Values<typeof OPTIONS>) {
  const { io, storage } = context;
  const cert = values["tls-cert"];
  const key = values["tls-key"];
  if ((cert === undefined) !== (key === undefined)) throw usageError("--tls-cert and --tls-key go together");
  if (values.open === true && (values.tokens ?? values.anonymous) !== undefined)
    throw usageError("--open lets everybody do everything; it does not go with --tokens or --anonymous");
  const { parseDuration } = await import("../../layers/config/values.ts");
  const loaded = await configuredFor({ io, storage });
  const port = portOf("--port", values.port);
  const metricsPort = portOf("--metrics-port", values["metrics-port"]);
  const drain = values.drain === undefined ? undefined : parseDuration(values.drain);
  if (values.drain !== undefined && drain === undefined)
    throw usageError(`--drain must be a time like 10s, not ${show(values.drain)}`);
  const said = {
    host: values.host,
    port,
    tls: cert === undefined || key === undefined ? undefined : { cert, key },
    allowedHosts: values["allow-host"],
    trustedProxies: values["trust-proxy"],
    metrics: metricsPort === undefined ? undefined : { port: metricsPort },
    log: values.log as "all" | "errors" | "off" | undefined,
    drain,
  };
  const server = {
    ...loaded.server,
    ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
  };
  if (server.port !== undefined && server.port > 65_535)
    throw new RegistryError("CONFIG", "server.port must be at most 65535", { field: "server.port" });
  return { ...loaded, server };
}

function portOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw usageError(`${option} must be a port from 0 to 65535, not ${show(text)}`);
}
