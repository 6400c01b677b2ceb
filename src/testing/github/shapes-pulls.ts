/** What replies about pull requests are made of. */
import { nodeId, repository, repoUrl, user } from "./shapes.ts";
import type { PullRequest, Repository, World } from "./world.ts";

export function label(origin: string, repo: Repository, name: string) {
  const url = `${repoUrl(origin, repo)}/labels/${encodeURIComponent(name)}`;
  const id = [...name].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 1_000_000_007, 7);
  return { id, node_id: nodeId("Label", id), url, name, description: null, color: "ededed", default: false };
}

export function pullRequest(
  world: World,
  origin: string,
  repo: Repository,
  pull: PullRequest,
  tips: { readonly head: string; readonly base: string },
) {
  const url = repoUrl(origin, repo);
  const html = `${origin}/${repo.owner}/${repo.name}/pull/${pull.number}`;
  const self = `${url}/pulls/${pull.number}`;
  const issue = `${url}/issues/${pull.number}`;
  const side = (ref: string, sha: string) => ({
    label: `${repo.owner}:${ref}`,
    ref,
    sha,
    user: user(world, origin, repo.owner),
    repo: repository(world, origin, repo),
  });
  const href = (link: string) => ({ href: link });
  return {
    url: self,
    id: repo.id * 10_000 + pull.number,
    node_id: nodeId("PullRequest", `${repo.id}:${pull.number}`),
    html_url: html,
    diff_url: `${html}.diff`,
    patch_url: `${html}.patch`,
    issue_url: issue,
    number: pull.number,
    state: pull.state,
    locked: false,
    title: pull.title,
    user: user(world, origin, pull.author),
    body: pull.body,
    created_at: pull.createdAt,
    updated_at: pull.updatedAt,
    closed_at: pull.closed?.at ?? null,
    merged_at: pull.merged?.at ?? null,
    merge_commit_sha: pull.merged?.sha ?? null,
    assignee: null,
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    labels: pull.labels.map((name) => label(origin, repo, name)),
    milestone: null,
    draft: pull.draft,
    commits_url: `${self}/commits`,
    review_comments_url: `${self}/comments`,
    review_comment_url: `${url}/pulls/comments{/number}`,
    comments_url: `${issue}/comments`,
    statuses_url: `${url}/statuses/${tips.head}`,
    head: side(pull.head, tips.head),
    base: side(pull.base, tips.base),
    _links: {
      self: href(self),
      html: href(html),
      issue: href(issue),
      comments: href(`${issue}/comments`),
      review_comments: href(`${self}/comments`),
      review_comment: href(`${url}/pulls/comments{/number}`),
      commits: href(`${self}/commits`),
      statuses: href(`${url}/statuses/${tips.head}`),
    },
    author_association: "OWNER",
    auto_merge: null,
    active_lock_reason: null,
  };
}
