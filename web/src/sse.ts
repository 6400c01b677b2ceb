export interface ServerEvent {
  readonly event: string;
  readonly data: string;
  /** The last id up to and including this event. */
  readonly id: string;
}

/**
 * Reads `text/event-stream` as the HTML standard says, of chunks that may end anywhere. EventSource would do it, but it
 * can send no `Authorization`.
 */
export class EventParser {
  #rest = "";
  #event = "";
  #data: string[] = [];
  #id = "";
  #endedWithCr = false;

  /** @returns the events that are whole with this chunk */
  push(chunk: string): readonly ServerEvent[] {
    // A CR at the end of a chunk and a LF at the start of the next are one line end.
    let text = this.#endedWithCr && chunk.startsWith("\n") ? chunk.slice(1) : chunk;
    if (chunk !== "") this.#endedWithCr = chunk.endsWith("\r");
    text = this.#rest + text;
    const lines = text.split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line !== "") {
        this.#field(line);
        continue;
      }
      if (this.#data.length > 0) {
        events.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.#id });
      }
      this.#event = "";
      this.#data = [];
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#event = value;
    else if (name === "data") this.#data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
  }
}
