/** Ground truth that a model doubts which has not learned it: what speaks against it, and asking people again. */
import { type Api, at } from "../api/client";
import type { AskedFor, Doubt, LabelErrors } from "../api/types";
import { counted } from "../app/figures";
import { count } from "../app/format";

/** The place of the view within the items; no digest is like it. */
export const LABEL_ERRORS = "label-errors";

const SHOWN = 60; // the most doubtful
const QUICKLY = 20_000; // items: some ten seconds
const TIMEOUT_MS = 120_000; // on a busy machine several times that
const LONGEST_MS = 7_200_000; // of millions

/** all: of a large project too, which takes minutes; otherwise some items stand for it. */
export const labelErrors = (api: Api, project: string, all: boolean) =>
  api.json<LabelErrors>(
    "GET",
    at(project, `/${LABEL_ERRORS}?limit=${SHOWN}${all ? "" : `&most=${QUICKLY}`}`),
    undefined,
    { timeoutMs: all ? LONGEST_MS : TIMEOUT_MS },
  );

export const askAgain = (api: Api, project: string, items: readonly string[]) =>
  api.json<AskedFor>("POST", at(project, `/${LABEL_ERRORS}/review`), { items }, { timeoutMs: TIMEOUT_MS });

/** "circle: the model sees square 0.93" */
export function doubtInWords({ flaw, shape, detection }: Doubt): string {
  const seen = detection === null ? null : `${detection.label} ${detection.score.toFixed(2)}`;
  switch (flaw) {
    case "overlooked":
      return `no box where the model sees ${seen ?? "something"}`;
    case "misnamed":
      return `${shape?.label ?? "a box"} where the model sees ${seen ?? "something else"}`;
    case "misplaced":
      return seen === null
        ? `${shape?.label ?? "a box"} where the model sees nothing`
        : `${shape?.label ?? "a box"} beside where the model sees ${seen}`;
  }
}

/** How many items that is said of. */
export function comparedInWords({ compared, unseen, more, total }: LabelErrors): string {
  const others =
    unseen > 0 ? ` ${counted(unseen, "item")} with truth no model has predicted without having learned them.` : "";
  return `${counted(compared, "item")} compared${more ? `, of ${count(total)} with truth, for which they stand` : ""}.${others}`;
}

export interface Outline {
  readonly box: readonly number[];
  readonly of: "truth" | "prediction";
}

/** What is drawn of the worst doubts, one of each place. */
export const outlinesOf = (doubts: readonly Doubt[]): Outline[] =>
  doubts.flatMap(({ shape, detection }) => [
    ...(shape ? [{ box: boxAround(shape), of: "truth" as const }] : []),
    ...(detection ? [{ box: detection.box, of: "prediction" as const }] : []),
  ]);

/** Of a box, or around what is drawn otherwise. */
function boxAround({ box, points }: NonNullable<Doubt["shape"]>): readonly number[] {
  if (box) return box;
  const [xs, ys] = [0, 1].map((axis) => (points ?? []).map((point) => point[axis] ?? 0)) as [number[], number[]];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
