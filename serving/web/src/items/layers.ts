/** What is drawn over an item: what the newest prediction found, and the ground truth. */
import type { Detection, Item } from "../api/types";
import type { Size } from "../review/geometry";
import { type Shape, proposal, scoreOf, shapesFrom } from "../review/shapes";

export type LayerName = "prediction" | "truth";

export interface ItemLayer {
  readonly name: LayerName;
  readonly title: string;
  readonly color: string;
  /** Told apart without colours too. */
  readonly dash: readonly number[];
  readonly shapes: readonly Shape[];
  /** Of the detection that each shape shows, as the service counts; none where no model spoke. */
  readonly numbers: readonly number[];
  /** Why there is nothing to draw, or "". */
  readonly nothing: string;
}

/** The truth first: the prediction's dashes lie over it where both are at the same place. */
export function layersOf(item: Pick<Item, "truth" | "prediction" | "width" | "height">): [ItemLayer, ItemLayer] {
  const { truth, prediction } = item;
  const image: Size = { width: item.width, height: item.height };
  const found = prediction ? proposal(prediction.detections, image) : [];
  const settled = truth ? shapesFrom(truth.shapes, image, "t") : [];
  return [
    {
      name: "truth",
      title: truth ? `Ground truth, version ${truth.version}` : "Ground truth",
      color: "#4cc38a",
      dash: [],
      shapes: settled,
      numbers: [],
      nothing: !truth ? "None yet." : settled.length === 0 ? "Settled: nothing is on it." : "",
    },
    {
      name: "prediction",
      title: "Newest prediction",
      color: "#ff9d5c",
      dash: [8, 5],
      shapes: found,
      numbers: prediction ? numbersOf(prediction.detections, image) : [],
      nothing: !prediction
        ? "None yet."
        : prediction.withheld
          ? "Withheld, since no person has answered in time."
          : found.length === 0
            ? "The model found nothing."
            : "",
    },
  ];
}

/** The detections that `proposal` draws, in its order: it draws the surest first, and none beyond the image. */
const numbersOf = (detections: readonly Detection[], image: Size): number[] =>
  detections
    .map((detection, number) => ({ detection, number }))
    .sort((one, other) => other.detection.score - one.detection.score)
    .filter(({ detection }) => proposal([detection], image).length > 0)
    .map(({ number }) => number);

/** "circle 0.87", or the label alone where no model spoke. */
export function nameOf(shape: Shape): string {
  const score = scoreOf(shape);
  return score === null ? shape.label : `${shape.label} ${score.toFixed(2)}`;
}

/** "20, 20 – 90, 90 px" of a box, "5 points" of what is drawn otherwise. */
export function placeOf({ type, box, points }: Shape): string {
  if (type === "polygon" || type === "polyline") return `${type}, ${points.length} points`;
  const [x1, y1, x2, y2] = box.map((value) => Math.round(value));
  return type === "point" ? `at ${x1}, ${y1} px` : `${x1}, ${y1} – ${x2}, ${y2} px`;
}
