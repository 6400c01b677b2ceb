import { repositoryOf } from "../access.ts";
import { type Call, invalid, json, notFound, Problem, type Reply, type Route, text } from "../http.ts";
import { repository as shape, user as userShape } from "../shapes.ts";
import { type Ruleset, rulesOf } from "../world.ts";

const ROOT = "/repos/{owner}/{repo}";

async function getRepository(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  return json(shape(call.world, call.origin, repository, call.world.permission(call.token, repository)));
}

async function create(call: Call, owner: string): Promise<Reply> {
  const name = text(call, "name");
  if (!/^[\w.-]{1,100}$/.test(name)) throw invalid("Repository creation failed.");
  if (call.token?.permission !== "admin") throw new Problem(403, "Resource not accessible by personal access token");
  if (call.world.find(owner, name) !== undefined || !call.world.claim(owner, name)) {
    const message = "name already exists on this account";
    throw invalid("Repository creation failed.", [{ resource: "Repository", code: "custom", field: "name", message }]);
  }
  const repository = await call.world.addRepository({
    owner,
    name,
    private: call.body.private === true,
    init: call.body.auto_init === true,
    ...(typeof call.body.description === "string" ? { description: call.body.description } : {}),
  });
  return json(shape(call.world, call.origin, repository, "admin"), 201);
}

async function createForUser(call: Call): Promise<Reply> {
  if (call.token === undefined || call.token.kind !== "user") throw new Problem(401, "Requires authentication");
  return create(call, call.token.login);
}

async function createForOrganization(call: Call): Promise<Reply> {
  const org = call.params.org ?? "";
  if (!call.world.organizations.has(org)) throw notFound();
  return create(call, org);
}

async function currentUser(call: Call): Promise<Reply> {
  if (call.token === undefined) throw new Problem(401, "Requires authentication");
  if (call.token.kind !== "user") throw new Problem(403, "Resource not accessible by integration");
  const login = call.token.login;
  const at = new Date(0).toISOString().replace(".000", "");
  return json({
    ...userShape(call.world, call.origin, login),
    name: login,
    company: null,
    blog: "",
    location: null,
    email: null,
    hireable: null,
    bio: null,
    twitter_username: null,
    notification_email: null,
    public_repos: 0,
    public_gists: 0,
    followers: 0,
    following: 0,
    created_at: at,
    updated_at: at,
  });
}

function showRuleset(call: Call, ruleset: Ruleset) {
  const { owner, repo } = call.params;
  return {
    id: ruleset.id,
    name: ruleset.name,
    target: "branch",
    source_type: "Repository",
    source: `${owner}/${repo}`,
    enforcement: ruleset.enforcement,
    bypass_actors: [],
    node_id: `RRS_${ruleset.id}`,
    conditions: { ref_name: { include: ruleset.include, exclude: [] } },
    rules: ruleset.rules,
    created_at: call.world.time(),
    updated_at: call.world.time(),
  };
}

async function listRulesets(call: Call): Promise<Reply> {
  const { rulesets } = repositoryOf(call);
  return json(rulesets.map((ruleset) => ({ ...showRuleset(call, ruleset), rules: undefined, conditions: undefined })));
}

async function createRuleset(call: Call): Promise<Reply> {
  const repository = repositoryOf(call, "admin");
  const conditions = call.body.conditions as { ref_name?: { include?: string[] } } | undefined;
  const ruleset: Ruleset = {
    id: call.world.id(),
    name: text(call, "name"),
    enforcement: (call.body.enforcement as Ruleset["enforcement"] | undefined) ?? "active",
    include: conditions?.ref_name?.include ?? [],
    rules: (call.body.rules as Ruleset["rules"] | undefined) ?? [],
  };
  repository.rulesets.push(ruleset);
  return json(showRuleset(call, ruleset), 201);
}

async function branchRules(call: Call): Promise<Reply> {
  const repository = repositoryOf(call);
  const rules = rulesOf(repository, `refs/heads/${call.params.branch}`);
  return json(
    rules.map(({ type, parameters, ruleset }) => ({
      type,
      ...(parameters === undefined && type === "pull_request" ? { parameters: PULL_REQUEST } : { parameters }),
      ruleset_source_type: "Repository",
      ruleset_source: `${repository.owner}/${repository.name}`,
      ruleset_id: ruleset.id,
    })),
  );
}

const PULL_REQUEST = {
  allowed_merge_methods: ["merge", "squash", "rebase"],
  dismiss_stale_reviews_on_push: false,
  require_code_owner_review: false,
  require_last_push_approval: false,
  required_approving_review_count: 0,
  required_review_thread_resolution: false,
};

async function protection(call: Call): Promise<Reply> {
  repositoryOf(call, "admin");
  throw new Problem(404, "Branch not protected");
}

export const repositoryRoutes: readonly Route[] = [
  { method: "GET", template: ROOT, handle: getRepository },
  { method: "GET", template: `${ROOT}/rulesets`, handle: listRulesets },
  { method: "POST", template: `${ROOT}/rulesets`, handle: createRuleset },
  { method: "GET", template: `${ROOT}/rules/branches/{branch}`, handle: branchRules },
  { method: "GET", template: `${ROOT}/branches/{branch}/protection`, handle: protection },
  { method: "POST", template: "/user/repos", handle: createForUser },
  { method: "POST", template: "/orgs/{org}/repos", handle: createForOrganization },
  { method: "GET", template: "/user", handle: currentUser },
];
