import { expect, test } from "vitest";
import type { Item } from "../api/types";
import { layersOf, nameOf, placeOf } from "./layers";

type Told = Pick<Item, "truth" | "prediction" | "width" | "height">;

const truth = {
  version: 2,
  origin: "submission",
  submission_ids: [],
  created_at: "2026-01-01T00:00:00Z",
  shapes: [
    { type: "box", label: "circle", box: [20, 20, 90, 90] },
    { type: "polygon", label: "square", box: [0, 0, 0, 0], points: [[1, 1], [9, 1], [9, 9]] },
  ],
};
const prediction = {
  detections: [
    { label: "square", score: 0.4, box: [1, 2, 30, 40] },
    { label: "circle", score: 0.873, box: [20.4, 20, 90, 90] },
  ],
  withheld: false,
};
const item = (parts: object): Told => ({ truth: null, prediction: null, width: 100, height: 100, ...parts }) as Told;

test("The truth and the newest prediction are each a layer, the surest detection first", () => {
  const [settled, found] = layersOf(item({ truth, prediction }));
  expect(settled.shapes.map(nameOf)).toEqual(["circle", "square"]);
  expect(settled.shapes.map(placeOf)).toEqual(["20, 20 – 90, 90 px", "polygon, 3 points"]);
  expect(settled.title).toBe("Ground truth, version 2");
  expect(found.shapes.map(nameOf)).toEqual(["circle 0.87", "square 0.40"]);
  expect(settled.color).not.toBe(found.color);
});

test("Where a layer has no shapes it says why", () => {
  const why = (parts: object) => layersOf(item(parts)).map(({ nothing }) => nothing);
  expect(why({})).toEqual(["None yet.", "None yet."]);
  expect(why({ truth: { ...truth, shapes: [] }, prediction: { ...prediction, detections: [] } })).toEqual([
    "Settled: nothing is on it.",
    "The model found nothing.",
  ]);
  expect(why({ prediction: { detections: [], withheld: true } })[1]).toContain("Withheld");
});

test("Each drawn detection has the number that the service counts by, also beside one that is not drawn", () => {
  const at = (label: string, score: number, box: number[]) => ({ label, score, box });
  const detections = [
    at("bar", 0.2, [0, 0, 10, 10]),
    at("square", 0.9, [-50, -50, -20, -20]), // beyond the image
    at("circle", 0.7, [20, 20, 40, 40]),
    at("circle", 0.7, [60, 60, 80, 80]),
  ];
  const [settled, found] = layersOf(item({ truth, prediction: { detections, withheld: false } }));
  expect(found.shapes.map((shape, place) => [nameOf(shape), found.numbers[place]])).toEqual([
    ["circle 0.70", 2],
    ["circle 0.70", 3],
    ["bar 0.20", 0],
  ]);
  expect(settled.numbers).toEqual([]);
});
