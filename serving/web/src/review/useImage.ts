import { useEffect, useState } from "react";
import { isPassing } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Task } from "../api/types";
import type { Images, Loaded } from "./images";

interface Outcome {
  readonly digest: string;
  readonly loaded: Loaded | null;
  readonly problem: Described | null;
}

const RETRY_MS = 2_000;

/** The image of the present task, with the next one loading behind it. */
export function useImage(images: Images, task: Task, next: Task | null) {
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let left = false;
    let timer = 0;
    const digest = task.item_digest;
    images.load(task).then(
      (loaded) => !left && setOutcome({ digest, loaded, problem: null }),
      (error: unknown) => {
        if (left) return;
        setOutcome({ digest, loaded: null, problem: describe(error) });
        if (isPassing(error)) timer = window.setTimeout(() => setTries((count) => count + 1), RETRY_MS);
      },
    );
    return () => {
      left = true;
      window.clearTimeout(timer);
    };
  }, [images, task.item_digest, tries]);
  useEffect(() => {
    if (next) images.load(next).catch(() => undefined);
    images.keepOnly([task.item_digest, ...(next ? [next.item_digest] : [])]);
  }, [images, task.item_digest, next?.item_digest]);
  const present = outcome?.digest === task.item_digest ? outcome : null;
  return {
    loaded: present?.loaded ?? null,
    problem: present?.problem ?? null,
    again: () => setTries((count) => count + 1),
  };
}
