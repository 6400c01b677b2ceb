import { createContext } from "preact";
import { useContext, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Api } from "./api.ts";
import { asFailure, type Failure } from "./failure.ts";
import { Follower, type FollowState } from "./follow.ts";
import { keepToken, keptToken } from "./kept.ts";
import type { Service } from "./types.ts";

/** How long after a change of one's own its echo in the feed is no news. */
const ECHO = 4000;

type ChangeListener = (name: string | undefined) => void;

/** Who is here, and what all parts of the page share. */
export interface Session {
  readonly api: Api;
  readonly service: Service;
  readonly isSignedIn: boolean;
  readonly live: FollowState;
  /** What was read before, to be shown at once while it is read again. */
  readonly cache: Map<string, { readonly value: unknown; readonly at: number }>;
  readonly onChange: (listener: ChangeListener) => () => void;
  /** Tells everything that is shown, and lets the feed's echo pass without a word. */
  readonly changed: (name: string) => void;
  readonly isEcho: (name: string) => boolean;
  readonly announce: (text: string) => void;
  readonly askToSignIn: () => void;
  readonly signOut: () => void;
}

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error("there is no session here");
  return session;
}

export type Entry =
  | { readonly state: "asking" }
  | { readonly state: "refused"; readonly failure: Failure }
  | { readonly state: "in"; readonly session: Session };

export interface Gate {
  readonly entry: Entry;
  /** Over the page that is there already, when its credentials ended or others are wanted. */
  readonly isAsking: boolean;
  readonly token: string | undefined;
  readonly signIn: (token: string) => Promise<void>;
  readonly cancel: () => void;
  readonly retry: () => void;
  readonly announcement: string;
}

export const BASE = new URL("v1", document.baseURI);

/** Asks who one is, follows the feed, and lets others in. */
export function useGate(): Gate {
  const [token, setToken] = useState(keptToken);
  const [entry, setEntry] = useState<Entry>({ state: "asking" });
  const [attempt, setAttempt] = useState(0);
  const [live, setLive] = useState<FollowState>("off");
  const [isAsking, setIsAsking] = useState(false);
  const [announcement, setAnnouncement] = useState("");
  const listeners = useRef(new Set<ChangeListener>());
  const echoes = useRef(new Map<string, number>());
  const [known, setKnown] = useState<{
    readonly api: Api;
    readonly service: Service;
    readonly cache: Session["cache"];
  }>();

  useEffect(() => {
    const api = new Api(BASE, token, () => setIsAsking(true));
    const tell: ChangeListener = (name) => {
      for (const listener of [...listeners.current]) listener(name);
    };
    const follower = new Follower(api, tell, setLive);
    const ended = new AbortController();
    const enter = async () => {
      try {
        // The cursor is from before anything is read. Who may not follow the feed may still read.
        const [service, cursor] = await Promise.all([
          api.service(ended.signal),
          api.changes(undefined, ended.signal).then(
            (page) => page.cursor,
            () => undefined,
          ),
        ]);
        setIsAsking(false);
        setKnown({ api, service, cache: new Map() });
        follower.start(cursor);
      } catch (error) {
        if (!ended.signal.aborted) setEntry({ state: "refused", failure: asFailure(error) });
      }
    };
    void enter();
    return () => {
      ended.abort();
      follower.close();
    };
    // `attempt` is there to try again with the same token.
  }, [token, attempt]);

  const shared = useMemo(
    () => ({
      onChange: (listener: ChangeListener) => {
        listeners.current.add(listener);
        return () => void listeners.current.delete(listener);
      },
      changed: (name: string) => {
        echoes.current.set(name, Date.now());
        for (const listener of [...listeners.current]) listener(name);
      },
      isEcho: (name: string) => Date.now() - (echoes.current.get(name) ?? 0) < ECHO,
      announce: setAnnouncement,
      askToSignIn: () => setIsAsking(true),
      signOut: () => {
        keepToken(undefined);
        setKnown(undefined);
        setEntry({ state: "asking" });
        setToken(undefined);
        setAttempt((n) => n + 1);
      },
    }),
    [],
  );

  useEffect(() => {
    if (announcement === "") return;
    const timer = setTimeout(() => setAnnouncement(""), 9_000);
    return () => clearTimeout(timer);
  }, [announcement]);

  const session = useMemo<Session | undefined>(
    () => (known === undefined ? undefined : { ...known, ...shared, live, isSignedIn: token !== undefined }),
    [known, shared, live, token],
  );

  return {
    entry: session === undefined ? entry : { state: "in", session },
    isAsking: isAsking && session !== undefined,
    token,
    announcement,
    /** @throws Failure where the token is not taken */
    signIn: async (given) => {
      await new Api(BASE, given).service();
      keepToken(given);
      setIsAsking(false);
      if (given === token) setAttempt((n) => n + 1);
      else setToken(given);
    },
    cancel: () => setIsAsking(false),
    retry: () => {
      setEntry({ state: "asking" });
      setAttempt((n) => n + 1);
    },
  };
}
