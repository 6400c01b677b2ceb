import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { GraphQLSchema } from "graphql";

/** The library and GitHub's own published schema; loaded by the first query, since it takes a third of a second. */
export interface GraphQL {
  readonly lib: typeof import("graphql");
  readonly schema: GraphQLSchema;
}

let loaded: Promise<GraphQL> | undefined;

export function loadGraphQL(): Promise<GraphQL> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<GraphQL> {
  try {
    const lib = await import("graphql");
    // It is GitHub's: that it is valid need not be found out here.
    return {
      lib,
      schema: lib.buildSchema(await source(), { assumeValidSDL: true, assumeValid: true, noLocation: true }),
    };
  } catch (error) {
    throw new Error(
      "prompt-registry/testing/github: GraphQL needs two more packages: npm install --save-dev graphql@16 @octokit/graphql-schema",
      { cause: error },
    );
  }
}

/** The package's own module reads the whole schema a second time, as JSON, which takes as long as all the rest. */
async function source(): Promise<string> {
  const folders = createRequire(import.meta.url).resolve.paths("@octokit/graphql-schema") ?? [];
  const file = folders.map((folder) => join(folder, "@octokit/graphql-schema/schema.graphql")).find(existsSync);
  return file === undefined ? (await import("@octokit/graphql-schema")).schema.idl : readFileSync(file, "utf8");
}

/** An error with GitHub's own `type` beside its message. */
export class TypedError extends Error {
  override readonly name = "TypedError";
  readonly extensions: { readonly type: string };

  constructor(type: string, message: string) {
    super(message);
    this.extensions = { type };
  }
}
