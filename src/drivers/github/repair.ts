import { randomUUID } from "node:crypto";
import type { RepairPlan, RepairReport } from "../../driver.ts";
import { RegistryError } from "../../errors.ts";
import { inspect } from "./inspect.ts";
import { authorOf, trailerOf } from "./message.ts";
import { Work } from "./plan.ts";
import type { Session } from "./session.ts";
import type { States } from "./state.ts";
import { writeCommit } from "./write.ts";
import type { Writer } from "./writer.ts";

const MAX_TRIES = 10;

/** Looks at the whole branch; what is repaired is one commit. When its outcome is not known, look again. */
export async function repair(
  session: Session,
  states: States,
  writer: Writer,
  plan: RepairPlan,
): Promise<RepairReport> {
  const { client } = session;
  for (let attempt = 1; attempt <= MAX_TRIES; attempt++) {
    const snapshot = await session.whole(await session.current());
    const work = new Work(snapshot, states, client.settings);
    const report = await inspect(states, session, snapshot, plan, work);
    if (work.edits.size === 0) return report;
    const repaired = report.findings.filter((finding) => finding.repaired);
    const lines = repaired.slice(0, 50).map(({ kind, path, name }) => `${path ?? name ?? ""}: ${kind}`);
    const text = {
      subject: `Repair ${repaired.length} ${repaired.length === 1 ? "finding" : "findings"}`,
      body: `${lines.join("\n")}\n\n${trailerOf(`repair-${randomUUID()}`)}`,
      author: plan.by === undefined ? undefined : authorOf(plan.by, plan.at),
    };
    const written = await writer.alone(async () =>
      writeCommit(client, snapshot, await session.branch(), work.edits, text, () => {}),
    );
    if (written.status === "written") {
      const edits = [...work.edits].map(([path, { id }]) => ({ path, id }));
      session.advance(snapshot, { id: written.commit, message: text.body }, written.tree, edits);
      return report;
    }
  }
  const { location } = client.settings;
  throw new RegistryError("CONFLICT", `${location}: others write to the branch all the time; try again`, {
    backend: "github",
    location,
    operation: "repair",
    outcome: "temporary",
  });
}
