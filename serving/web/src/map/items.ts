/** The images of points and what is known of them, for those that somebody looks at. */
import { useEffect, useMemo, useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Item } from "../api/types";
import { Lookups } from "./lookups";

export interface Items {
  /** Addresses of blobs that this page holds. */
  readonly images: Lookups<string>;
  readonly facts: Lookups<Item>;
}

const [IMAGES_KEPT, FACTS_KEPT] = [300, 500];
const LARGEST_SIDE = 640; // px; twice what the card shows, for screens with two pixels to each

export function useItems(api: Api, project: string): Items {
  const items = useMemo(
    () => ({
      images: new Lookups(
        async (digest) => URL.createObjectURL(await shrunk(await api.itemImage(project, digest))),
        IMAGES_KEPT,
        (address) => URL.revokeObjectURL(address),
      ),
      facts: new Lookups((digest) => api.item(project, digest), FACTS_KEPT),
    }),
    [api, project],
  );
  useEffect(() => () => items.images.clear(), [items]);
  return items;
}

/** As small as it is shown: pictures of many megapixels, side by side, would fill memory. */
async function shrunk(image: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(image);
  try {
    const part = LARGEST_SIDE / Math.max(bitmap.width, bitmap.height);
    if (part >= 1) return image;
    const canvas = new OffscreenCanvas(
      Math.max(Math.round(bitmap.width * part), 1),
      Math.max(Math.round(bitmap.height * part), 1),
    );
    const pen = canvas.getContext("2d");
    if (!pen) return image;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  } finally {
    bitmap.close();
  }
}

export interface Looked<T> {
  readonly value: T | null;
  readonly problem: Described | null;
}

/** One of them, asked for after `rest` milliseconds: a pointer that only passes by asks for nothing. */
export function useLookup<T>(lookups: Lookups<T>, key: string | null, rest = 0): Looked<T> {
  const [found, setFound] = useState<(Looked<T> & { readonly key: string }) | null>(null);
  useEffect(() => {
    if (key === null) return undefined;
    let left = false;
    const timer = window.setTimeout(() => {
      lookups.get(key).then(
        (value) => !left && setFound({ key, value, problem: null }),
        (error: unknown) => !left && setFound({ key, value: null, problem: describe(error) }),
      );
    }, rest);
    return () => {
      left = true;
      window.clearTimeout(timer);
    };
  }, [lookups, key, rest]);
  return found && found.key === key ? found : { value: null, problem: null };
}
