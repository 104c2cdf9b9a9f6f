/** Snapshots as the page tells them. */
import type { SnapshotDiff, SnapshotRow } from "../api/types";
import { NOTHING, counted } from "../app/figures";
import { count } from "../app/format";

export const FORMATS = {
  coco: "COCO",
  yolo: "YOLO (boxes)",
  "yolo-segment": "YOLO (segments)",
  voc: "Pascal VOC",
} as const;

export interface Used {
  readonly digest: string;
  /** Of the newest of its cycles. */
  readonly at: string;
  readonly images: SnapshotRow["images"];
  readonly boxes: number | null;
  readonly labels: number | null;
  /** Ids of the cycles with it, newest first. */
  readonly cycles: readonly string[];
}

/** One row for each snapshot; rows: one for each cycle, newest first. */
export function bySnapshot(rows: readonly SnapshotRow[]): Used[] {
  const found = new Map<string, Used>();
  for (const { digest, cycle_id, created_at: at, images, boxes, labels } of rows) {
    const known = found.get(digest);
    const cycles = [...(known?.cycles ?? []), cycle_id];
    found.set(digest, known ? { ...known, cycles } : { digest, at, images, boxes, labels, cycles });
  }
  return [...found.values()];
}

/** "1,200" of all sides; "–" where it is not known. */
export const itemsOf = ({ images }: Pick<Used, "images">): string =>
  images === null ? NOTHING : count(Object.values(images).reduce((sum, one) => sum + one, 0));

/** "800 train, 200 val"; sides without images are left out. */
export function splitsInWords({ images }: Pick<Used, "images">): string {
  if (images === null) return NOTHING;
  const sides = Object.entries(images).filter(([, one]) => one > 0);
  return sides.map(([split, one]) => `${count(one)} ${split}`).join(", ") || NOTHING;
}

const BETWEEN = "..";

/** What the address names: one snapshot, or two that are compared. */
export function placed(place: string): readonly [digest: string] | readonly [before: string, after: string] {
  const [before = "", after] = place.split(BETWEEN);
  return after ? [before, after] : [before];
}

export const placeOfDiff = (before: string, after: string): string => `${before}${BETWEEN}${after}`;

export interface Change {
  readonly name: string;
  readonly count: number;
  /** Those that are listed. */
  readonly items: readonly { readonly item: string; readonly how: string }[];
}

export function changesOf(diff: SnapshotDiff): Change[] {
  const plain = (items: readonly string[]) => items.map((item) => ({ item, how: "" }));
  return [
    { name: "Added", count: diff.added_count, items: plain(diff.added) },
    { name: "Removed", count: diff.removed_count, items: plain(diff.removed) },
    {
      name: "With other ground truth",
      count: diff.changed_count,
      items: diff.changed.map(({ item, before, after }) => ({ item, how: `version ${before} → ${after}` })),
    },
    {
      name: "On another side of the split",
      count: diff.moved_count,
      items: diff.moved.map(({ item, before, after }) => ({ item, how: `${before} → ${after}` })),
    },
  ];
}

/** "and 20 more"; "" where all are listed. */
export const furtherOf = ({ count: all, items }: Change): string =>
  all > items.length ? `and ${counted(all - items.length, "more", "more")}` : "";
