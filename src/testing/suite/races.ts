import { openStored } from "../../document.ts";
import { parseName } from "../../names.ts";
import { documentOf, headOf, labelEntry, tombstoneOf } from "../builders.ts";
import { checkLinearizable, runHistory } from "../linearizability/index.ts";
import { ok, outcomeIs, same, sameText } from "./expect.ts";
import { during, type Hand, keep } from "./hand.ts";
import { type Case, type Lab, test } from "./types.ts";

const A = parseName("a");
const AT = "2026-01-01T00:00:00.000Z";

/** Publishes, labels and then deletes the one before, over and over; `look` runs all the while. */
async function whileMoving({ hand, another }: Lab, look: (reader: Hand) => Promise<void>): Promise<void> {
  const reader = await another();
  let previous = await hand.put("a", "1.0.0");
  await hand.move("a", { labels: { production: "1.0.0" } });
  const write = async () => {
    for (let i = 1; i <= 25; i++) {
      const next = documentOf("a", `1.${i}.0`, `version ${i}\n${"x".repeat(i * 400)}\n`);
      const { head } = await hand.state("a");
      const labels = { production: next.version };
      const change = await hand.headChange("a", { ...keep(head), labels }, [labelEntry("production", next.version)]);
      await hand.done({ ...change, add: [next] });
      await hand.remove("a", previous);
      previous = next;
    }
  };
  await during(write, () => look(reader));
  await look(reader);
}

export const races: readonly Case[] = [
  test("I2 of concurrent writers of one slot exactly one is done, the others get its bytes", async ({
    hand,
    another,
  }) => {
    const other = await another();
    for (let round = 0; round < 12; round++) {
      const name = parseName(`slot/r${round}`);
      const documents = Array.from({ length: 8 }, (_, i) =>
        documentOf(name, "1.0.0", `writer ${i}\n${"x".repeat(i * 500)}`),
      );
      const outcomes = await Promise.all(documents.map((d, i) => (i % 2 === 0 ? hand : other).one({ name, add: [d] })));
      const winners = documents.filter((_, i) => outcomes[i]?.status === "done");
      ok(winners.length === 1, `${winners.length} of 8 writers of one slot were done`);
      const text = winners[0]?.text as string;
      for (const outcome of outcomes) {
        if (outcome.status !== "done")
          sameText(outcomeIs(outcome, "exists", "a loser").existing.text, text, "what a loser is told");
      }
      for (const view of [hand, other])
        sameText((await view.found(name, "1.0.0")).document.text, text, "the text in the end");
    }
  }),

  test("I4 a label never resolves to something that is not there, while versions are published, labelled and deleted", async (lab) => {
    await whileMoving(lab, async (reader) => {
      const { document, head } = await reader.found("a", "production");
      ok(openStored(document.text, document).kind === "document", "the label must bring a document");
      same(head?.head.labels["production" as never], document.version, "the version that the head says");
    });
  }),

  test("I4 latest never resolves to something that is not there, while versions are published and deleted", async (lab) => {
    await whileMoving(lab, async (reader) => {
      const { document, head } = await reader.found("a", "latest");
      ok(openStored(document.text, document).kind === "document", "latest must bring a document");
      same(head?.latest, document.version, "the version that the head says");
    });
  }),

  test("I4 peek never shows a label on something that is not there", async (lab) => {
    await whileMoving(lab, async ({ driver }) => {
      for (const selector of [{ kind: "label", label: "production" as never }, { kind: "latest" }] as const) {
        const answer = driver.peek({ name: A, selector });
        if (answer !== undefined) ok(answer.status === "found", `peek of ${selector.kind} gave ${answer.status}`);
      }
    });
  }),

  test("I3 a text is never seen in part while it is written", async ({ hand, another }) => {
    const reader = await another();
    const documents = Array.from({ length: 12 }, (_, i) => documentOf("a", `1.${i}.0`, `${i}`.repeat(100_000)));
    const write = async () => {
      for (const document of documents) await hand.done({ name: A, add: [document] });
    };
    await during(write, async (round) => {
      const { version, text } = documents[round % documents.length] as (typeof documents)[number];
      const answer = await reader.ask("a", version);
      if (answer.status !== "absent") sameText("document" in answer ? answer.document.text : undefined, text, version);
      for (const listed of await reader.versions("a")) {
        const found = (await reader.found("a", listed)).document.text;
        sameText(found, documents.find((d) => d.version === listed)?.text as string, `${listed}, as listed`);
      }
    });
  }),

  test("I4 a label is never seen before the version that comes with it", async ({ hand, another }) => {
    const reader = await another();
    const write = async () => {
      for (let i = 0; i < 20; i++) {
        const name = parseName(`half/r${i}`);
        const head = { expect: null, next: headOf({ labels: { production: "1.0.0" } }), entries: [] };
        await hand.done({ name, add: [documentOf(name, "1.0.0")], head });
      }
    };
    await during(write, async (round) => {
      const name = parseName(`half/r${round % 20}`);
      const label = await reader.ask(name, "production");
      if (label.status === "found") same((await reader.ask(name, "1.0.0")).status, "found", "the version of a label");
      else same(label.status, "absent", "a label that is not set yet");
      const { head, latest } = await reader.state(name);
      if (head.generation > 0) same(latest, "1.0.0", "latest of a prompt that has its head");
    });
  }),

  test("I4 a pointer is never seen on a removed version, while the removal itself moves it away", async ({
    hand,
    another,
  }) => {
    const reader = await another();
    await hand.put("a", "1.0.0");
    await hand.move("a", { labels: { production: "1.0.0" } });
    const write = async () => {
      for (let i = 1; i <= 15; i++) {
        const document = await hand.put("a", `1.${i}.0`);
        const { head } = await hand.state("a");
        await hand.move("a", { ...keep(head), labels: { production: document.version }, pin: document.version });
        const { pin: _, ...unpinned } = keep((await hand.state("a")).head);
        const yanked = { ...unpinned.yanked, [document.version]: { at: AT, removed: true as const } };
        const change = await hand.headChange("a", { ...unpinned, labels: { production: "1.0.0" }, yanked });
        await hand.done({ ...change, remove: [tombstoneOf(document)] });
      }
    };
    await during(write, async () => {
      for (const what of ["production", "latest"]) {
        const { document, head } = await reader.found("a", what);
        ok(openStored(document.text, document).kind === "document", `${what} must bring a document`);
        ok(
          !head?.head.yanked[document.version]?.removed,
          `${what} is on ${document.version}, which is marked as removed`,
        );
      }
    });
  }),

  test("I6 concurrent histories are linearizable per prompt, where that is claimed; else one client's are", async ({
    driver,
    hand,
    another,
  }) => {
    const { consistency, atomicity } = driver.capabilities;
    const single = consistency === "session";
    const handles = single ? [driver] : [driver, (await another()).driver];
    for (const seed of [1, 2]) {
      const history = await runHistory({ handles, clients: single ? 1 : 6, ops: 40, seed, opsPerPrompt: 20 });
      const verdict = checkLinearizable(history, { together: atomicity === "batch" });
      ok(verdict.ok, `seed ${seed}: ${verdict.message}`);
    }
    same((await hand.names({ prefix: "lin/" })).length > 0, true, "that something was published");
  }),

  test("I6 one client sees what it wrote, through every way of reading, at once", async ({ hand, another }) => {
    for (const [client, view] of [hand, await another()].entries()) {
      const name = parseName(`client-${client}`);
      for (let i = 0; i < 15; i++) {
        await view.done({ name, add: [documentOf(name, `1.${i}.0`)] });
        same((await view.found(name, "latest")).document.version, `1.${i}.0`, "latest");
        const peeked = view.driver.peek({ name, selector: { kind: "latest" } });
        if (peeked !== undefined)
          same("document" in peeked ? peeked.document.version : peeked.status, `1.${i}.0`, "peek of latest");
        same((await view.versions(name))[0], `1.${i}.0`, "the highest version");
        same((await view.state(name)).latest, `1.${i}.0`, "latest in the head");
        ok((await view.names()).includes(name), "the name");
      }
    }
  }),
];
