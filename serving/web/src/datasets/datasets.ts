/** Data sets in and out, in words. */
import type { Exported, ImportRemark, Imported } from "../api/types";
import { counted } from "../app/figures";
import { count } from "../app/format";

/** "": what it looks like, and as the data set says. */
export interface Asked {
  readonly format: string;
  readonly split: "" | "train" | "val" | "test";
  readonly addLabels: boolean;
  readonly strict: boolean;
}

export const AS_IT_IS: Asked = { format: "", split: "", addLabels: false, strict: false };

export function queryOf({ format, split, addLabels, strict }: Asked): string {
  const asked = new URLSearchParams({
    ...(format !== "" && { format }),
    ...(split !== "" && { split }),
    ...(addLabels && { add_labels: "true" }),
    ...(strict && { strict: "true" }),
  }).toString();
  return asked === "" ? "" : `?${asked}`;
}

/** "12 images are new, 3 have other ground truth, 5 are as they were; 40 shapes" */
export function importedInWords({ imported, updated, unchanged, boxes }: Imported): string {
  const parts = [
    `${counted(imported, "image is", "images are")} new`,
    updated > 0 ? `${count(updated)} got other ground truth` : "",
    unchanged > 0 ? `${count(unchanged)} ${unchanged === 1 ? "was" : "were"} there already` : "",
  ].filter((part) => part !== "");
  return `${parts.join(", ")}; ${counted(boxes, "shape")}.`;
}

/** "2 boxes, 1 image left out" and what was repaired; "" where nothing was. */
export function lossesInWords({ skipped_counts: skipped, repaired_total: repaired }: Imported): string {
  const left = Object.entries(skipped).map(([what, number]) => `${count(number)} × ${what}`);
  return [
    left.length > 0 ? `Left out: ${left.join(", ")}.` : "",
    repaired > 0 ? `Repaired: ${counted(repaired, "box was", "boxes were")} clipped to the image.` : "",
  ]
    .filter((part) => part !== "")
    .join(" ");
}

/** "images/a.png: box, the label 'nobody' is not in the recipe" */
export const remarkInWords = ({ path, what, why, count: number }: ImportRemark): string =>
  `${path}: ${what}${number > 1 ? ` (${count(number)})` : ""}, ${why}`;

/** What an export would hold, and what its format cannot. */
export function exportInWords({ images, boxes, splits, left_out: left }: Exported): { holds: string; lacks: string } {
  const parts = Object.entries(splits)
    .filter(([, number]) => number > 0)
    .map(([split, number]) => `${count(number)} ${split}`);
  const lost = Object.entries(left).map(([what, number]) => `${count(number)} × ${what}`);
  return {
    holds: `${counted(images, "image")} with ground truth${parts.length > 0 ? ` (${parts.join(", ")})` : ""}, ${counted(boxes, "shape")}.`,
    lacks: lost.length > 0 ? `The format has no place for: ${lost.join(", ")}.` : "",
  };
}
