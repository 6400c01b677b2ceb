import type { StorageConfig } from "./config-storages.ts";
import { RegistryError, show } from "./errors.ts";

/**
 * Turns a location into a storage configuration.
 *
 * @throws RegistryError CONFIG
 * @example
 * parseLocation("file:./registry"); // { backend: "file", path: "./registry" }
 */
export function parseLocation(location: string): StorageConfig {
  const match = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(location.trim());
  const scheme = match?.[1]?.toLowerCase();
  const rest = match?.[2] ?? "";
  if (scheme === "memory" && (rest === "" || rest === "//")) return { backend: "memory" };
  if (scheme === "file" || scheme === "sqlite" || scheme === "snapshot") {
    const question = rest.indexOf("?");
    const path = filePath(question < 0 ? rest : rest.slice(0, question), location, scheme);
    const options = question < 0 ? {} : Object.fromEntries(new URLSearchParams(rest.slice(question + 1)));
    return { ...options, backend: scheme, path } as StorageConfig;
  }
  if (scheme === "postgres" || scheme === "postgresql") return { backend: "postgres", url: `${scheme}:${rest}` };
  if (scheme === "github") return githubPlace(rest);
  if (scheme === "s3") return s3Place(rest);
  if (scheme === "https" || scheme === "http") return { backend: "http", url: `${scheme}:${rest}` };
  const known =
    "file:./dir, sqlite:./registry.db, postgres://host/database, github:owner/repo, s3://bucket/prefix, https://registry.example, snapshot:./file or memory:";
  throw new RegistryError(
    "CONFIG",
    `storage ${showLocation(location)} is not a location this version knows; write ${known}`,
    {
      field: "storage",
    },
  );
}

/** `owner/repo[/path][?option=value][#branch]` */
function githubPlace(rest: string): StorageConfig {
  const [place = "", branch] = rest.split(/#(.*)/s, 2);
  const question = place.indexOf("?");
  const path = question < 0 ? place : place.slice(0, question);
  const options = question < 0 ? {} : Object.fromEntries(new URLSearchParams(place.slice(question + 1)));
  const problem = "token" in options ? "has a token in it; set GITHUB_TOKEN instead" : undefined;
  const [owner = "", repo = "", ...folders] = path.replace(/^\/+|\/+$/g, "").split("/");
  if (problem !== undefined || owner === "" || repo === "" || branch === "") {
    throw new RegistryError(
      "CONFIG",
      `storage github:… ${problem ?? "names no repository"}; write github:owner/repo[/path][#branch]`,
      { field: "storage" },
    );
  }
  const at = {
    ...(folders.length === 0 ? {} : { path: folders.join("/") }),
    ...(branch === undefined ? {} : { branch }),
  };
  return { ...options, backend: "github", owner, repo: repo.replace(/\.git$/, ""), ...at } as StorageConfig;
}

/** `//bucket[/prefix][?option=value]` */
function s3Place(rest: string): StorageConfig {
  const question = rest.indexOf("?");
  const place = question < 0 ? rest : rest.slice(0, question);
  const options = question < 0 ? {} : Object.fromEntries(new URLSearchParams(rest.slice(question + 1)));
  const [, bucket, prefix] = /^\/\/([^/@]+)(?:\/(.*))?$/s.exec(place) ?? [];
  const secret = ["credentials", "accessKeyId", "secretAccessKey", "sessionToken"].some((key) => key in options);
  const problem = secret
    ? "has credentials in it; set AWS_ACCESS_KEY_ID and its like, or a profile"
    : "names no bucket";
  if (bucket === undefined || secret) {
    throw new RegistryError("CONFIG", `storage s3:… ${problem}; write s3://bucket/prefix?region=…`, {
      field: "storage",
    });
  }
  const below = prefix === undefined || prefix === "" ? {} : { prefix };
  return { ...options, backend: "s3", bucket, ...below } as StorageConfig;
}

/** Credentials may stand in a URL, and in what was meant to be one: nothing of it is repeated but its scheme. */
function showLocation(location: string): string {
  const isPlainText = !location.includes("@") && !location.includes("://");
  const scheme = /^\s*([a-z][a-z0-9+.-]*):/i.exec(location)?.[1]?.toLowerCase();
  if (scheme === undefined) return isPlainText ? show(location) : "(not shown, as it may hold credentials)";
  return isPlainText && PATH_SCHEMES.has(scheme) ? show(location) : `${scheme}:…`;
}

const PATH_SCHEMES: ReadonlySet<string> = new Set(["file", "sqlite", "snapshot"]);

function filePath(rest: string, location: string, scheme: string): string {
  const path = rest.startsWith("///") ? rest.slice(2) : rest;
  const bad = (problem: string) =>
    new RegistryError(
      "CONFIG",
      `storage ${showLocation(location)} ${problem}; write ${scheme}:./name or ${scheme}:///name`,
      {
        field: "storage",
      },
    );
  if (path.startsWith("//")) throw bad("names a host");
  if (path === "" || path.includes("\0")) throw bad("has no usable path");
  return decodePath(path, location);
}

function decodePath(path: string, location: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new RegistryError(
      "CONFIG",
      `storage ${showLocation(location)} has a % that is not followed by two hex digits; write %25`,
      {
        field: "storage",
      },
    );
  }
}
