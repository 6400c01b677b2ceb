import type { Io } from "./io.ts";

const CODES = { red: 31, green: 32, yellow: 33, cyan: 36, bold: 1, dim: 2, underline: 4 } as const;
export type Style = keyof typeof CODES;
export type Paint = (style: Style, text: string) => string;

// Foreign text on a terminal must not move the cursor, change the title or reorder what is read (Trojan Source).
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;
const KEPT: ReadonlySet<string> = new Set(["\n", "\t", "\u200c", "\u200d"]);
const CLEAR_LINE = "\r\u001b[2K";
const FIRST_AFTER = 400;
const FRAME = 100;
const SPINNER = "|/-\\";

/** Escapes control and invisible characters; line breaks too, unless they are allowed. */
export function clean(text: string, breaks = false): string {
  return text.replace(UNPRINTABLE, (c) =>
    breaks && (c === "\n" || c === "\t") ? c : `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** stdout is for the result alone; everything else that is said goes to stderr. */
export class Terminal {
  readonly paint: Paint;
  readonly #io: Io;
  readonly #quiet: boolean;
  readonly #paintErr: Paint;
  #timer: NodeJS.Timeout | undefined;
  #status = "";
  #shown = false;
  #frame = 0;

  constructor(io: Io, options: { readonly quiet: boolean; readonly color: boolean }) {
    this.#io = io;
    this.#quiet = options.quiet;
    const { NO_COLOR, TERM } = io.env;
    const color = options.color && (NO_COLOR ?? "") === "" && TERM !== "dumb";
    this.paint = painter(color && io.stdout.isTTY === true);
    this.#paintErr = painter(color && io.stderr.isTTY === true);
  }

  /** Whether a person reads stdout. */
  get interactive(): boolean {
    return this.#io.stdout.isTTY === true;
  }

  /** A part of the result, as it is. */
  out(text: string): void {
    if (text === "") return;
    this.#hide();
    this.#io.stdout.write(text);
  }

  /**
   * Somebody's text as the result: byte for byte, but on a terminal with escapes for what the terminal would obey or hide.
   * The joiners that emoji and many scripts are written with stay.
   */
  text(text: string): void {
    const isKept = (c: string, at: number) => KEPT.has(c) || (c === "\r" && text[at + 1] === "\n");
    const shown = this.interactive
      ? text.replace(UNPRINTABLE, (c, at: number) => (isKept(c, at) ? c : clean(c)))
      : text;
    this.out(shown);
    if (shown !== text) {
      this.warn("control or invisible characters are shown as escapes; send the output to a file for the very bytes");
    }
  }

  json(value: unknown): void {
    this.out(`${harmless(JSON.stringify(value, null, 2))}\n`);
  }

  error(message: string): void {
    this.#line(`prompt-registry: ${this.#paintErr("red", "error:")} ${clean(message)}`);
  }

  errorJson(value: unknown): void {
    this.#line(harmless(JSON.stringify(value)));
  }

  /** Help that nobody asked for. */
  help(text: string): void {
    this.#line(text);
  }

  warn(message: string): void {
    if (!this.#quiet) this.#line(`prompt-registry: ${this.#paintErr("yellow", "warning:")} ${clean(message)}`);
  }

  /** Something that happened beside the result. */
  note(message: string): void {
    if (!this.#quiet) this.#line(`prompt-registry: ${clean(message)}`);
  }

  /** What to do next; only for people. */
  hint(message: string): void {
    if (!this.#quiet && this.#io.stderr.isTTY === true) this.#line(this.#paintErr("dim", clean(message)));
  }

  /** A whole line on stderr, whatever was asked for. */
  #line(text: string): void {
    this.#hide();
    this.#io.stderr.write(`${text}\n`);
  }

  /** Asks on stderr; the answer is read by the caller. */
  question(text: string): void {
    this.stopProgress();
    this.#io.stderr.write(`${clean(text)} `);
  }

  /** From now on, a line on a terminal that says what is going on; it appears when it takes a while. */
  startProgress(text: string): void {
    this.#status = text;
    if (this.#quiet || this.#io.stderr.isTTY !== true || this.#io.env.TERM === "dumb") return;
    this.stopProgress();
    this.#timer = setTimeout(() => {
      this.#draw();
      this.#timer = setInterval(() => this.#draw(), FRAME);
      this.#timer.unref();
    }, FIRST_AFTER);
    this.#timer.unref();
  }

  /** Says how far it got. With a total, as a bar. */
  progress(text: string, done?: number, total?: number): void {
    if (done === undefined || total === undefined || total === 0) this.#status = text;
    else {
      const width = 20;
      const filled = Math.min(width, Math.floor((done / total) * width));
      this.#status = `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${done}/${total} ${text}`;
    }
  }

  stopProgress(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#hide();
  }

  #draw(): void {
    const line = `${SPINNER[this.#frame++ % SPINNER.length]} ${clean(this.#status)}`;
    const columns = this.#io.stderr.columns || 80;
    this.#io.stderr.write(CLEAR_LINE + line.slice(0, columns - 1));
    this.#shown = true;
  }

  #hide(): void {
    if (!this.#shown) return;
    this.#io.stderr.write(CLEAR_LINE);
    this.#shown = false;
  }
}

function painter(on: boolean): Paint {
  if (!on) return (_, text) => text;
  return (style, text) => (text === "" ? "" : `\u001b[${CODES[style]}m${text}\u001b[0m`);
}

/** JSON says the same with an escape as with the character, and an escape does nothing to a terminal. */
function harmless(json: string): string {
  return json.replace(UNPRINTABLE, (found) => {
    if (found === "\n") return found;
    let escaped = "";
    for (let i = 0; i < found.length; i++) escaped += `\\u${found.charCodeAt(i).toString(16).padStart(4, "0")}`;
    return escaped;
  });
}
