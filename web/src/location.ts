import { useEffect, useRef, useState } from "preact/hooks";
import { parseRoute, type Route, titleOf } from "./route.ts";

const listeners = new Set<() => void>();

/** Goes there without a new entry in the history, as for every letter of a search. */
export function replaceRoute(hash: string): void {
  history.replaceState(history.state, "", hash);
  for (const listener of listeners) listener();
}

export function go(hash: string): void {
  location.hash = hash;
}

/** The route of the address; moves focus and scroll as a new page would. */
export function useRoute(): Route {
  const [hash, setHash] = useState(() => location.hash);
  const route = parseRoute(hash);
  const place = route.page === "prompt" ? `${route.name} ${route.view}` : route.page;
  const before = useRef(place);
  const moved = useRef<"new" | "back" | undefined>(undefined);

  useEffect(() => {
    history.scrollRestoration = "manual";
    const onHash = () => {
      moved.current = scrollOf(history.state) === undefined ? "new" : "back";
      setHash(location.hash);
    };
    const onReplace = () => setHash(location.hash);
    const forget = rememberScroll();
    addEventListener("hashchange", onHash);
    listeners.add(onReplace);
    return () => {
      forget();
      removeEventListener("hashchange", onHash);
      listeners.delete(onReplace);
    };
  }, []);

  useEffect(() => {
    document.title = titleOf(parseRoute(hash));
    const how = moved.current;
    moved.current = undefined;
    if (how === "back") restoreScroll(scrollOf(history.state) ?? 0);
    else if (how === "new" && before.current !== place) scrollTo(0, 0);
    // Whoever goes by keyboard or screen reader starts at the heading of where they are now.
    if (before.current !== place) document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    before.current = place;
  }, [hash, place]);

  return route;
}

function scrollOf(state: unknown): number | undefined {
  const y = typeof state === "object" && state !== null ? (state as { y?: unknown }).y : undefined;
  return typeof y === "number" ? y : undefined;
}

/** With the entry of the history it belongs to; browsers allow no more than a few such notes a second. */
function rememberScroll(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const note = () => history.replaceState({ y: Math.round(scrollY) }, "");
  const onScroll = () => {
    clearTimeout(timer);
    timer = setTimeout(note, 200);
  };
  const onClick = () => {
    // Before a link is followed: the entry that is left is the one that this position belongs to.
    clearTimeout(timer);
    note();
  };
  note();
  addEventListener("scroll", onScroll, { passive: true });
  addEventListener("click", onClick, { capture: true });
  return () => {
    clearTimeout(timer);
    removeEventListener("scroll", onScroll);
    removeEventListener("click", onClick, { capture: true });
  };
}

/** What was there may have to be read again first: waits until the page is long enough, or somebody scrolls. */
function restoreScroll(y: number): void {
  const until = Date.now() + 2000;
  let isOver = false;
  const stop = () => {
    isOver = true;
  };
  for (const type of ["wheel", "touchstart", "keydown"]) addEventListener(type, stop, { once: true, passive: true });
  const attempt = () => {
    if (isOver) return;
    scrollTo(0, y);
    if (Math.abs(scrollY - y) > 2 && Date.now() < until) requestAnimationFrame(attempt);
  };
  attempt();
}
