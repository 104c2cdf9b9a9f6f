/** To the item before and behind in the list that one came from, by button or key. */
import { useEffect, useRef, useState } from "react";
import type { Api } from "../api/client";
import { describe } from "../api/problem";
import type { ViewProps } from "../app/view";
import { useKeys } from "../review/useKeys";
import { findPage } from "./calls";
import { type Walk, extended, placeInWords, stepped } from "./walk";

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly walk: Walk;
  readonly digest: string;
  readonly notify: ViewProps["notify"];
  readonly onStep: (digest: string) => void;
  /** The list has got its next page. */
  readonly onLonger: (walk: Walk) => void;
}

const KEYS: Readonly<Record<string, 1 | -1>> = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 };

export function ItemSteps({ api, project, walk, digest, notify, onStep, onLonger }: Props) {
  const [fetching, setFetching] = useState(false);
  // A step may follow before the address has led here: keys come faster.
  const present = useRef(digest);
  useEffect(() => {
    present.current = digest;
  }, [digest]);

  const step = async (by: 1 | -1) => {
    if (fetching) return;
    const from = present.current;
    let longer = walk;
    let target = stepped(walk, from, by);
    if (typeof target === "object" && target !== null) {
      setFetching(true);
      try {
        while (typeof target === "object" && target !== null) {
          const { items: rows, next } = await findPage(api, project, walk.asked, target.rest);
          longer = extended(longer, { rows, next });
          target = stepped(longer, from, by);
        }
        onLonger(longer);
      } catch (error) {
        notify({ tone: "error", ...describe(error) });
        return;
      } finally {
        setFetching(false);
      }
    }
    if (target === null || present.current !== from) return;
    present.current = target;
    onStep(target);
  };

  useKeys((event) => {
    const by = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey ? undefined : KEYS[event.key];
    if (by === undefined) return;
    event.preventDefault();
    void step(by);
  });

  return (
    <div className="item-steps" role="group" aria-label="The list">
      <button
        data-testid="previous-item"
        title="The item before in the list (K or ←)"
        disabled={stepped(walk, digest, -1) === null}
        onClick={() => void step(-1)}
      >
        Previous <kbd>K</kbd>
      </button>
      <span className="muted" data-testid="item-place" aria-live="polite">
        {placeInWords(walk, digest)}
      </span>
      <button
        data-testid="next-item"
        title="The item behind in the list (J or →)"
        aria-busy={fetching}
        disabled={stepped(walk, digest, 1) === null}
        onClick={() => void step(1)}
      >
        Next <kbd>J</kbd>
      </button>
    </div>
  );
}
