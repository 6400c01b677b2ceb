import { RegistryError, show } from "../errors.ts";

/** One GitHub: github.com, or an Enterprise of one's own. No address ends with a slash. */
export interface GithubHost {
  /** What its credentials are stored under: the host, or an origin where it is not https. */
  readonly service: string;
  /** Where people and OAuth are. */
  readonly web: string;
  /** Base of the REST API. */
  readonly api: string;
}

/**
 * @param text `github.com`, `github.example`, `acme.ghe.com`, or an origin
 * @throws RegistryError INVALID
 * @example
 * hostOf("github.example").api; // "https://github.example/api/v3"
 */
export function hostOf(text: string): GithubHost {
  const wanted = text.trim().toLowerCase().replace(/\/$/, "");
  const isOrigin = /^https?:\/\//.test(wanted);
  const url = parse(isOrigin ? wanted : `https://${wanted}`);
  if (url === undefined || (isOrigin ? url.origin : url.host) !== wanted || !isSafe(url)) {
    throw new RegistryError("INVALID", `${show(text)} is no GitHub host; write github.com or github.example`, {
      field: "host",
    });
  }
  return known(url);
}

/** The same for the base of a REST API, which the driver has checked. */
export function hostOfApi(baseUrl: string): GithubHost {
  const url = new URL(baseUrl);
  // https://docs.github.com/enterprise-cloud@latest/admin/data-residency: the API of SUBDOMAIN.ghe.com
  const web = /^api\.(github\.com|[^.]+\.ghe\.com)$/.exec(url.host)?.[1];
  const host = known(web === undefined ? url : new URL(`https://${web}`));
  return { ...host, api: baseUrl.replace(/\/+$/, "") };
}

function known(url: URL): GithubHost {
  const web = url.origin;
  const service = url.protocol === "https:" ? url.host : url.origin;
  if (service === "github.com" || service.endsWith(".ghe.com")) return { service, web, api: `https://api.${service}` };
  return { service, web, api: `${web}/api/v3` };
}

function parse(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** This machine. */
export function isLocal({ hostname }: URL): boolean {
  return hostname === "127.0.0.1" || hostname === "localhost" || hostname === "[::1]";
}

/** A token is never sent over a network in the clear. */
export function isSafe(url: URL): boolean {
  const { protocol, username, password } = url;
  return (protocol === "https:" || (protocol === "http:" && isLocal(url))) && username === "" && password === "";
}
