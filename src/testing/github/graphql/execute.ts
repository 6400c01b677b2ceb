import { randomBytes } from "node:crypto";
import type { ExecutionResult, GraphQLError, GraphQLFieldResolver, GraphQLFormattedError } from "graphql";
import { type Call, json, Problem, type Reply } from "../http.ts";
import type { Limits } from "../limits.ts";
import { createCommitOnBranch, createRef, updateRefs } from "./mutations.ts";
import { loadGraphQL, TypedError } from "./schema.ts";
import { repositoryType, Scope, userType } from "./types.ts";

/** Runs a query or mutation on GitHub's published schema. Errors come with status 200, as there. */
export async function executeGraphQL(call: Call, limits: Limits): Promise<Reply> {
  if (call.token === undefined) {
    throw new Problem(401, "This endpoint requires you to be authenticated.", {
      docs: "https://docs.github.com/graphql/guides/forming-calls-with-graphql#authenticating-with-graphql",
    });
  }
  const { query, variables, operationName } = call.body;
  if (typeof query !== "string" || query === "") {
    return json({ errors: [{ message: "A query attribute must be specified and must be a string." }] }, 400);
  }
  const { lib, schema } = await loadGraphQL();
  let document: ReturnType<typeof lib.parse>;
  try {
    document = lib.parse(query);
  } catch (error) {
    return json({ errors: [shown(error as GraphQLError)] });
  }
  const problems = lib.validate(schema, document);
  if (problems.length > 0) return json({ errors: problems.map(shown) });
  const result: ExecutionResult = await lib.execute({
    schema,
    document,
    rootValue: root(new Scope(call), limits),
    fieldResolver: answerField,
    variableValues: variables as Record<string, unknown> | undefined,
    ...(typeof operationName === "string" ? { operationName } : {}),
  });
  if (result.errors?.some(isUntold)) return json({ errors: [{ message: untold(call.world.now()) }] });
  const errors = result.errors?.map(shown);
  return json({ ...(result.data === undefined ? {} : { data: result.data }), ...(errors ? { errors } : {}) });
}

/** As graphql-js does it by default, but what nobody here answers is an error, where GitHub would have a value. */
const answerField: GraphQLFieldResolver<unknown, unknown> = (source, args, _context, info) => {
  const value = (source as Readonly<Record<string, unknown>>)[info.fieldName];
  if (value === undefined) {
    const field = `${info.parentType.name}.${info.fieldName}`;
    throw new TypedError("UNSUPPORTED", `prompt-registry/testing/github does not answer the field ${field}`);
  }
  return typeof value === "function" ? value.call(source, args) : value;
};

/** GitHub puts its `type` beside the message, where graphql-js has it in the extensions. */
function shown(error: GraphQLError): GraphQLFormattedError & { readonly type?: string } {
  const { message, locations, path } = error;
  const original = error.originalError;
  return {
    ...(original instanceof TypedError ? { type: original.extensions.type } : {}),
    ...(path === undefined ? {} : { path }),
    ...(locations === undefined ? {} : { locations }),
    message,
  };
}

const isUntold = ({ originalError }: GraphQLError): boolean =>
  originalError !== undefined && !(originalError instanceof TypedError);

/** GitHub's words for what it has none for; they come without data, type or path. */
function untold(now: number): string {
  const at = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  const id = randomBytes(15)
    .toString("hex")
    .toUpperCase()
    .replace(/(.{6})(?=.)/g, "$1:");
  return `Something went wrong while executing your query on ${at}. Please include \`${id}\` when reporting this issue.`;
}

function root(scope: Scope, limits: Limits) {
  const { call } = scope;
  const { world, token } = call;
  return {
    viewer: () => userType(scope, token?.login ?? "ghost"),
    rateLimit: () => {
      const { limit, remaining, used, reset } = limits.quota("graphql", token?.value ?? "");
      const resetAt = new Date(reset * 1000).toISOString().replace(".000", "");
      // This query is counted when it is answered.
      return { cost: 1, limit, nodeCount: 0, remaining: Math.max(0, remaining - 1), used: used + 1, resetAt };
    },
    repository: ({ owner, name }: { owner: string; name: string }) => {
      const repository = world.find(owner, name);
      if (repository === undefined || world.permission(token, repository) === undefined) {
        throw new TypedError("NOT_FOUND", `Could not resolve to a Repository with the name '${owner}/${name}'.`);
      }
      return repositoryType(scope, repository);
    },
    createCommitOnBranch: ({ input }: { input: Parameters<typeof createCommitOnBranch>[1] }) =>
      createCommitOnBranch(scope, input),
    createRef: ({ input }: { input: Parameters<typeof createRef>[1] }) => createRef(scope, input),
    updateRefs: ({ input }: { input: Parameters<typeof updateRefs>[1] }) => updateRefs(scope, input),
  };
}
