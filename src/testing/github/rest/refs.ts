import { refuse, repositoryOf, setRef, withCommits } from "../access.ts";
import { type Call, invalid, json, notFound, Problem, type Reply, type Route, text } from "../http.ts";
import { gitRef } from "../shapes.ts";
import { isRefName } from "../store.ts";
import type { Repository } from "../world.ts";

const ROOT = "/repos/{owner}/{repo}/git";

async function show(call: Call, repository: Repository, name: string, oid: string) {
  const type = (await repository.store.object(oid))?.type;
  return gitRef(call.origin, repository, name, oid, type);
}

async function getRef(call: Call): Promise<Reply> {
  const repository = await withCommits(call);
  const name = `refs/${call.params.ref}`;
  const oid = await repository.store.ref(name, call.lag);
  if (oid === undefined) throw notFound();
  return json(await show(call, repository, name, oid));
}

async function matchingRefs(call: Call): Promise<Reply> {
  const repository = await withCommits(call);
  const found = await repository.store.refs(`refs/${call.params.ref}`);
  const lagged = await Promise.all(found.map(async ({ name }) => [name, await repository.store.ref(name, call.lag)]));
  const shown = lagged.filter((pair): pair is [string, string] => pair[1] !== undefined);
  return json(await Promise.all(shown.map(([name, oid]) => show(call, repository, name, oid))));
}

async function object(call: Call, repository: Repository): Promise<string> {
  const sha = text(call, "sha");
  if (!/^[0-9a-f]{40}$/.test(sha))
    throw invalid("The sha parameter must be exactly 40 characters and contain only [0-9a-f].");
  if ((await repository.store.object(sha)) === undefined) throw invalid("Object does not exist");
  return sha;
}

async function createRef(call: Call): Promise<Reply> {
  const repository = await withCommits(call, "write");
  const name = text(call, "ref");
  if (!/^refs\/[^/]+\/./.test(name)) {
    throw invalid("Reference name must start with 'refs/' and contain at least two slashes.");
  }
  if (!isRefName(name)) throw invalid(`${name} is not a valid ref name.`);
  const sha = await object(call, repository);
  await refuse(repository, name, undefined, sha);
  if ((await repository.store.ref(name)) !== undefined || !(await setRef(repository, name, sha, null))) {
    throw invalid("Reference already exists");
  }
  return json(await show(call, repository, name, sha), 201);
}

async function updateRef(call: Call): Promise<Reply> {
  const repository = await withCommits(call, "write");
  const name = `refs/${call.params.ref}`;
  const from = await repository.store.ref(name);
  if (from === undefined) throw invalid("Reference does not exist");
  const sha = await object(call, repository);
  await refuse(repository, name, from, sha);
  if (call.body.force !== true && !(await repository.store.isAncestor(from, sha))) {
    throw invalid("Update is not a fast forward");
  }
  // Somebody pushed with Git in between.
  if (!(await setRef(repository, name, sha, from))) throw new Problem(409, "Reference cannot be updated");
  return json(await show(call, repository, name, sha));
}

async function deleteRef(call: Call): Promise<Reply> {
  const repository = repositoryOf(call, "write");
  const name = `refs/${call.params.ref}`;
  const from = await repository.store.ref(name);
  if (from === undefined) throw invalid("Reference does not exist");
  await refuse(repository, name, from, undefined);
  await setRef(repository, name, null, from);
  return { status: 204 };
}

export const refRoutes: readonly Route[] = [
  { method: "GET", template: `${ROOT}/ref/{ref}`, handle: getRef },
  { method: "GET", template: `${ROOT}/matching-refs/{ref}`, handle: matchingRefs },
  { method: "POST", template: `${ROOT}/refs`, handle: createRef },
  { method: "PATCH", template: `${ROOT}/refs/{ref}`, handle: updateRef },
  { method: "DELETE", template: `${ROOT}/refs/{ref}`, handle: deleteRef },
];
