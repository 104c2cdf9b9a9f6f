import { useEffect, useState } from "react";
import { isPassing } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Images, Loaded, Picture } from "./images";

interface Outcome {
  readonly digest: string;
  readonly loaded: Loaded | null;
  readonly problem: Described | null;
}

const RETRY_MS = 2_000;

/** The image that is on screen, with the next one loading behind it. */
export function useImage(images: Images, picture: Picture, next: Picture | null) {
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let left = false;
    let timer = 0;
    const digest = picture.item_digest;
    images.load(picture).then(
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
  }, [images, picture.item_digest, tries]);
  useEffect(() => {
    if (next) images.load(next).catch(() => undefined);
    images.keepOnly([picture.item_digest, ...(next ? [next.item_digest] : [])]);
  }, [images, picture.item_digest, next?.item_digest]);
  const present = outcome?.digest === picture.item_digest ? outcome : null;
  return {
    loaded: present?.loaded ?? null,
    problem: present?.problem ?? null,
    again: () => setTries((count) => count + 1),
  };
}
