import { useEffect, useRef, useState } from "react";
import type { Api } from "../api/client";
import type { Cycle } from "../api/types";
import { useVisible } from "../app/hooks";
import { follow, openEvents } from "./following";

/** Tells of a cycle as it goes on, while the page can be seen; whether it does so now, so that nobody need poll.
 *  cycle: null where none is running. */
export function useFollowed(api: Api, project: string, cycle: string | null, onTold: (cycle: Cycle) => void): boolean {
  const [live, setLive] = useState(false);
  const visible = useVisible();
  const latest = useRef(onTold);
  latest.current = onTold;
  useEffect(() => {
    if (cycle === null || !visible) return undefined;
    const end = new AbortController();
    const pause = (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds));
    void follow(
      { open: openEvents(api, project, cycle), onTold: (told) => latest.current(told), onLive: setLive, pause },
      end.signal,
    );
    return () => {
      end.abort();
      setLive(false);
    };
  }, [api, project, cycle, visible]);
  return live;
}
