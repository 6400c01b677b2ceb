import { useEffect, useRef } from "preact/hooks";
import { Boundary } from "./boundary.tsx";
import { NewPrompt } from "./editor.tsx";
import type { FollowState } from "./follow.ts";
import { describeGrant, maySomewhere } from "./grants.ts";
import { ListPage } from "./list-page.tsx";
import { useRoute } from "./location.ts";
import { FailureNote } from "./parts.tsx";
import { PromptPage } from "./prompt-page.tsx";
import { formatRoute, listRoute, type Route } from "./route.ts";
import { type Gate, type Session, SessionContext, useGate, useSession } from "./session.tsx";
import { SignIn, SignInDialog } from "./sign-in.tsx";

export function App() {
  const gate = useGate();
  const route = useRoute();
  const { entry } = gate;
  return (
    <>
      {entry.state === "in" ? (
        <SessionContext.Provider value={entry.session}>
          <Header session={entry.session} />
          <main id="main" tabIndex={-1}>
            <Boundary of={location.hash}>
              <Content route={route} />
            </Boundary>
          </main>
          {gate.isAsking && <SignInDialog gate={gate} />}
        </SessionContext.Provider>
      ) : (
        <>
          <header class="top">
            <Skip />
            <Mark />
          </header>
          <main id="main" tabIndex={-1}>
            <Outside gate={gate} />
          </main>
        </>
      )}
      <div class={gate.announcement === "" ? "announcement empty" : "announcement"} aria-live="polite" role="status">
        {gate.announcement}
      </div>
    </>
  );
}

/** The fragment is the route, so the link can't lead to an element of its own accord. */
function Skip() {
  return (
    <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
      Skip to the content
    </button>
  );
}

function Content({ route }: { readonly route: Route }) {
  switch (route.page) {
    case "list":
      return <ListPage prefix={route.prefix} text={route.text} />;
    case "create":
      return <NewPrompt key={`new ${route.name}`} name={route.name} />;
    case "prompt":
      return <PromptPage key={route.name} route={route} />;
    case "unknown":
      return (
        <>
          <h1 tabIndex={-1}>No such page</h1>
          <p>
            Nothing is at <code>{route.path.slice(0, 200)}</code>. <a href={listRoute()}>All prompts</a>
          </p>
        </>
      );
  }
}

function Outside({ gate }: { readonly gate: Gate }) {
  const { entry } = gate;
  if (entry.state !== "refused") return <p class="loading" />;
  if (entry.failure.problem?.code === "UNAUTHENTICATED") {
    return (
      <div class="gate">
        <h1 tabIndex={-1}>Sign in</h1>
        <SignIn gate={gate} />
      </div>
    );
  }
  return (
    <div class="gate">
      <h1 tabIndex={-1}>The registry does not answer</h1>
      <FailureNote failure={entry.failure}>
        <button type="button" onClick={gate.retry}>
          Try again
        </button>
      </FailureNote>
    </div>
  );
}

function Mark() {
  return (
    <a class="mark" href={listRoute()}>
      <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
        <rect width="32" height="32" rx="7" />
        <path d="M9.5 9.5 15 16l-5.500 6.500M17.5 22.500h6" />
      </svg>
      <span>prompt-registry</span>
    </a>
  );
}

const LIVE: Readonly<Record<FollowState, readonly [string, string]>> = {
  off: ["not live", "Changes by others show when you load again."],
  connecting: ["connecting…", "The feed of changes is being opened."],
  live: ["live", "Changes by others show by themselves."],
  polling: ["live", "Changes by others show within some seconds."],
  paused: ["paused", "This tab was hidden; it catches up when it is seen."],
  unreachable: ["unreachable", "The server can’t be reached; it is tried again by itself."],
};

function Header({ session }: { readonly session: Session }) {
  const [word, why] = LIVE[session.live];
  return (
    <header class="top">
      <Skip />
      <Mark />
      <nav aria-label="Main">
        <a href={listRoute()}>Prompts</a>
        {maySomewhere(session.service.principal, "write") && session.service.capabilities.write && (
          <a href={formatRoute({ page: "create", name: "" })}>New prompt</a>
        )}
      </nav>
      <span class={`live ${session.live}`} title={why}>
        {word}
      </span>
      <SignInButton />
      <Who />
    </header>
  );
}

/** Where one may look around without a token, but not do everything. */
function SignInButton() {
  const { service, isSignedIn, askToSignIn } = useSession();
  if (isSignedIn || maySomewhere(service.principal, "write")) return null;
  return (
    <button type="button" class="small" onClick={askToSignIn}>
      Sign in
    </button>
  );
}

function Who() {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const closeOutside = (event: Event) => {
      if (menu.current?.contains(event.target as Node) === false) menu.current.open = false;
    };
    addEventListener("pointerdown", closeOutside);
    addEventListener("focusin", closeOutside);
    return () => {
      removeEventListener("pointerdown", closeOutside);
      removeEventListener("focusin", closeOutside);
    };
  }, []);
  const { service, isSignedIn, askToSignIn, signOut } = useSession();
  const { principal } = service;
  return (
    <details
      ref={menu}
      class="who"
      onKeyDown={(event) => {
        if (event.key === "Escape") event.currentTarget.open = false;
      }}
    >
      <summary>
        <span class="who-name">{principal.name}</span>
      </summary>
      <div class="menu">
        <p>
          <strong>{principal.name}</strong>
          <br />
          <code>{principal.id}</code>
        </p>
        <p>What you may do here:</p>
        <ul>
          {principal.grants.map((grant) => (
            <li key={describeGrant(grant)}>{describeGrant(grant)}</li>
          ))}
          {principal.grants.length === 0 && <li>nothing</li>}
        </ul>
        {isSignedIn ? (
          <button type="button" onClick={signOut}>
            Sign out
          </button>
        ) : (
          <button type="button" onClick={askToSignIn}>
            Sign in with a token
          </button>
        )}
      </div>
    </details>
  );
}
