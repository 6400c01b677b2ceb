// A client that takes next to nothing of the machine, where it is installed: one in Node is as busy as the server it measures.
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";

let found;
export function hasWrk(log) {
  if (found === undefined) {
    found = spawnSync("wrk", ["--version"]).error === undefined;
    if (!found) log("notice: wrk is not installed, so what it measures is left out");
  }
  return found;
}

/** @returns nanoseconds of a request, of so many connections in one thread for a second */
export async function wrk(url, { headers, connections, status = 200 }) {
  const given = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const probe = await fetch(url, { headers });
  await probe.arrayBuffer();
  if (probe.status !== status) throw new Error(`${url}: ${probe.status} instead of ${status}`);
  const args = ["-t1", `-c${connections}`, "-d1s", ...given, url];
  const { stdout } = await promisify(execFile)("wrk", args);
  // wrk counts 4xx and 5xx there.
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${url}: ${stdout}`);
  return 1e9 / Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]);
}
