import type { PromptName } from "../../names.ts";
import { type ClientEvent, ModelState, stepModel } from "./model.ts";

export interface Verdict {
  readonly ok: boolean;
  /** Calls that were looked at. */
  readonly calls: number;
  /** Where it is not ok: the first call that has no place, with the calls around it. */
  readonly message?: string;
  readonly prompt?: PromptName;
  readonly event?: ClientEvent;
}

export interface CheckOptions {
  /** `false` where head and tombstone of a removal move one after the other: unless atomicity is `batch`. Default `true`. */
  readonly together?: boolean;
}

interface Config {
  readonly state: ModelState;
  /** Which pending calls have taken effect, by place. */
  readonly taken: number;
}

// Places are bits of a small integer.
const MAX_PENDING = 30;

/**
 * Looks for one order of all calls on a prompt that a single client could have made with the same answers, each call
 * taking effect between its call and its return (Wing and Gong; walked from return to return as in Lowe's
 * "Testing for linearizability", 2017). Prompts are independent of each other, and are checked one by one. A call whose
 * outcome is unknown may take effect at any later time, or never.
 */
export function checkLinearizable(history: readonly ClientEvent[], options: CheckOptions = {}): Verdict {
  const prompts = new Map<PromptName, ClientEvent[]>();
  for (const event of history) {
    const events = prompts.get(event.prompt);
    if (events === undefined) prompts.set(event.prompt, [event]);
    else events.push(event);
  }
  for (const [prompt, events] of prompts) {
    const failed = checkPrompt(events, options.together ?? true);
    if (failed !== undefined) {
      return { ok: false, calls: history.length, prompt, event: failed, message: explain(events, failed) };
    }
  }
  return { ok: true, calls: history.length };
}

function checkPrompt(events: readonly ClientEvent[], together: boolean): ClientEvent | undefined {
  const points = events
    .flatMap((event) => [
      { at: event.called, event, returns: false },
      ...(event.result.status === "unknown" ? [] : [{ at: event.returned, event, returns: true }]),
    ])
    .sort((a, b) => a.at - b.at);
  const pending: (ClientEvent | undefined)[] = [];
  const places = new Map<ClientEvent, number>();

  function step(state: ModelState, event: ClientEvent): ModelState | undefined {
    return stepModel(state, event.call, event.result, together);
  }

  /** A pending call that changes nothing takes effect as soon as its answer fits: later is never better. */
  function settled(state: ModelState, taken: number): Config {
    let now = taken;
    pending.forEach((event, place) => {
      if (event !== undefined && (now & (1 << place)) === 0 && step(state, event) === state) now |= 1 << place;
    });
    return { state, taken: now };
  }

  let configs: Config[] = [{ state: new ModelState(), taken: 0 }];
  for (const { event, returns } of points) {
    if (!returns) {
      let place = pending.indexOf(undefined);
      if (place < 0) place = pending.length;
      if (place >= MAX_PENDING) throw new RangeError(`more than ${MAX_PENDING} calls are pending at once`);
      pending[place] = event;
      places.set(event, place);
      configs = configs.map(({ state, taken }) => settled(state, taken));
      continue;
    }
    const place = places.get(event) as number;
    const bit = 1 << place;
    const next = new Map<string, Config>();
    const seen = new Set<string>();
    const open = [...configs];
    for (let config = open.pop(); config !== undefined; config = open.pop()) {
      const key = `${config.taken}:${config.state.key}`;
      if (seen.has(key)) continue;
      seen.add(key);
      if ((config.taken & bit) !== 0) {
        const taken = config.taken & ~bit;
        next.set(`${taken}:${config.state.key}`, { state: config.state, taken });
        continue;
      }
      pending.forEach((other, i) => {
        if (other === undefined || ((config as Config).taken & (1 << i)) !== 0) return;
        const state = step((config as Config).state, other);
        if (state !== undefined) open.push(settled(state, (config as Config).taken | (1 << i)));
      });
    }
    if (next.size === 0) return event;
    pending[place] = undefined;
    configs = [...next.values()];
  }
  return undefined;
}

const AROUND = 12;

function explain(events: readonly ClientEvent[], failed: ClientEvent): string {
  const near = events
    .filter((e) => e.called < failed.returned && e.returned > failed.called - 4 * AROUND)
    .sort((a, b) => a.returned - b.returned)
    .slice(-AROUND);
  const lines = near.map((e) => `${e === failed ? ">" : " "} ${describeEvent(e)}`);
  return `${failed.prompt}: no order of the calls explains this answer:\n${lines.join("\n")}`;
}

/** One line: who, when, what, and the answer. */
export function describeEvent(event: ClientEvent): string {
  const short = (value: object) =>
    JSON.stringify(value, (_, v: unknown) => (typeof v === "string" && v.length > 40 ? `${v.slice(0, 40)}…` : v));
  return `[${event.called}, ${event.returned}] client ${event.client}: ${short(event.call)} → ${short(event.result)}`;
}
