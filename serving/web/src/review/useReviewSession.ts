import { useEffect, useState, useSyncExternalStore } from "react";
import type { Api } from "../api/client";
import type { Project } from "../api/types";
import { Images } from "./images";
import { type Notice, ReviewSession, type ReviewState } from "./session";

export interface Reviewing {
  readonly session: ReviewSession;
  readonly images: Images;
}

const TICK_MS = 500;

/** One session for as long as person and project stay; its tasks go back to the queue when either changes. */
export function useReviewSession(
  api: Api,
  user: string,
  project: Project | null,
  notify: (notice: Notice) => void,
): Reviewing | null {
  const [reviewing, setReviewing] = useState<Reviewing | null>(null);
  useEffect(() => {
    if (project === null) return undefined;
    const session = new ReviewSession({
      api,
      storage: window.localStorage,
      tally: window.sessionStorage,
      user,
      project: project.id,
      recipe: project.recipe,
      now: Date.now,
      notify,
    });
    const images = new Images(api.image);
    const timer = window.setInterval(() => session.tick(), TICK_MS);
    const touched = () => session.touched();
    const hurried = () => session.hurry();
    const signs = ["pointerdown", "pointermove", "keydown", "wheel"] as const;
    for (const sign of signs) window.addEventListener(sign, touched, { passive: true });
    window.addEventListener("online", hurried);
    const looked = () => session.seen(!document.hidden);
    const leaving = () => session.leaving();
    document.addEventListener("visibilitychange", looked);
    window.addEventListener("pagehide", leaving);
    setReviewing({ session, images });
    looked();
    session.tick();
    return () => {
      window.clearInterval(timer);
      for (const sign of signs) window.removeEventListener(sign, touched);
      window.removeEventListener("online", hurried);
      document.removeEventListener("visibilitychange", looked);
      window.removeEventListener("pagehide", leaving);
      session.close(true);
      images.keepOnly([]);
      setReviewing(null);
    };
    // A project that is read anew is the same project: tasks bring the version of their recipe.
  }, [api, user, project?.id, notify]);
  return reviewing;
}

export const useReviewState = (session: ReviewSession): ReviewState =>
  useSyncExternalStore(session.subscribe, session.snapshot);
