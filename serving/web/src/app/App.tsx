/** Signed out: the sign-in form. Signed in: the workbench. */
import { useCallback, useEffect, useMemo, useState } from "react";
import { Api } from "../api/client";
import { type Described, ProblemError, describe } from "../api/problem";
import type { Me, Project } from "../api/types";
import { endUploads, isSending } from "../adding/upload";
import { SignIn } from "../session/SignIn";
import { type Places, forgetToken, storeToken, storedToken, tokenInFragment } from "../session/token";
import { Workbench } from "./Workbench";

const places: Places = { session: window.sessionStorage, local: window.localStorage };

/** A token that came in the address is kept for this tab and taken out of the address and the history. */
function startingToken(): string | null {
  const linked = tokenInFragment(window.location.hash);
  if (!linked) return storedToken(places);
  storeToken(places, linked.token, false);
  window.history.replaceState(null, "", window.location.pathname + window.location.search + linked.rest);
  return linked.token;
}

interface SignedIn {
  readonly api: Api;
  readonly me: Me;
  readonly projects: readonly Project[];
}

export function App() {
  const [token, setToken] = useState(startingToken);
  const [signedIn, setSignedIn] = useState<SignedIn | null>(null);
  const [problem, setProblem] = useState<Described | null>(null);

  const signOut = useCallback((reason: Described | null) => {
    forgetToken(places);
    setToken(null);
    setSignedIn(null);
    setProblem(reason);
  }, []);

  const api = useMemo(() => (token === null ? null : new Api(token, () => signOut(REVOKED))), [token, signOut]);

  useEffect(() => {
    if (!api) return undefined;
    const warn = (event: BeforeUnloadEvent) => isSending(api) && event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => {
      window.removeEventListener("beforeunload", warn);
      endUploads(api);
    };
  }, [api]);

  useEffect(() => {
    if (!api) return undefined;
    let left = false;
    let timer = 0;
    const enter = async () => {
      try {
        const [me, projects] = await Promise.all([api.me(), api.projects()]);
        if (!left) setSignedIn({ api, me, projects });
      } catch (error) {
        if (left) return;
        setProblem(error instanceof ProblemError && error.status === 401 ? REVOKED : describe(error));
        timer = window.setTimeout(() => void enter(), 2_000);
      }
    };
    void enter();
    return () => {
      left = true;
      window.clearTimeout(timer);
    };
  }, [api]);

  if (signedIn && signedIn.api === api) {
    return (
      <Workbench
        api={signedIn.api}
        me={signedIn.me}
        projects={signedIn.projects}
        onCreated={(made) =>
          setSignedIn((before) => before && { ...before, projects: [...before.projects, made].sort(byId) })
        }
        onSignOut={() => signOut(null)}
      />
    );
  }
  if (api && !problem) {
    return (
      <div className="calm full" role="status">
        <p className="muted">Signing in…</p>
      </div>
    );
  }
  const enter = (entered: string, stay: boolean) => {
    storeToken(places, entered, stay);
    setProblem(null);
    setToken(entered);
  };
  return <SignIn problem={problem} onToken={enter} />;
}

/** As the service lists them. */
const byId = (one: Project, other: Project): number => (one.id < other.id ? -1 : 1);

const REVOKED: Described = {
  title: "This token does not work",
  detail: "The service does not know it, or an operator has revoked it.",
  hint: "Check that all of it was copied, or ask an operator for another. Drafts in this browser are kept.",
};
