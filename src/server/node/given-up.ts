/**
 * Connections on which came what could not be read, or came too late. The client is told so, and that nothing was done; so
 * nothing may be done with what comes there all the same, as the rest of a body an instant later.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

const connections = new WeakSet<Socket>();
const requests = new WeakSet<IncomingMessage>();
/** The last request of a connection that has a body. */
const latest = new WeakMap<Socket, IncomingMessage>();

/** Called for every request with a body before it is looked at. */
export function noteBody(request: IncomingMessage): void {
  latest.set(request.socket, request);
}

/** @returns `false` for one that was given up before */
export function giveUp(socket: Socket): boolean {
  if (connections.has(socket)) return false;
  connections.add(socket);
  // Those that came whole are answered as if nothing were behind them.
  const request = latest.get(socket);
  if (request?.complete === false) requests.add(request);
  return true;
}

export function isGivenUp(socket: Socket): boolean {
  return connections.has(socket);
}

/** Whether it was in the middle of its body when its connection was given up. */
export function isCutOff(request: IncomingMessage): boolean {
  return requests.has(request);
}
