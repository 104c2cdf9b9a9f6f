import { useEffect, useState, useSyncExternalStore } from "react";
import type { Api } from "../api/client";
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
  project: string | null,
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
      project,
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
    setReviewing({ session, images });
    session.tick();
    return () => {
      window.clearInterval(timer);
      for (const sign of signs) window.removeEventListener(sign, touched);
      window.removeEventListener("online", hurried);
      session.close(true);
      images.keepOnly([]);
      setReviewing(null);
    };
  }, [api, user, project, notify]);
  return reviewing;
}

export const useReviewState = (session: ReviewSession): ReviewState =>
  useSyncExternalStore(session.subscribe, session.snapshot);
