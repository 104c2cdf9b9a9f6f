import { describe, expect, test } from "vitest";
import { COLOURINGS, colouringOf, knowsAnomalies } from "./colouring";
import type { Columns, Named } from "./columns";
import { byRisk, foundIn, openOf, stateOf } from "./facts";
import { GROUND, type Pixels, paint, radiusOf, sceneOf } from "./painter";
import { planeOf } from "./plane";
import { foundAgain } from "./useChosen";

const named = (names: string[], codes: number[]): Named => ({ names, codes: Int32Array.from(codes) });

const COLUMNS: Columns = {
  count: 4,
  x: Float32Array.of(0, 1, 2, 3),
  y: Float32Array.of(0, 0, 0, 0),
  risk: Float32Array.of(0, 0.5, 1, 0.2),
  anomaly: Float32Array.of(1, 0.1, 0.001, 1e-9),
  score: Float32Array.of(0.9, 0.9, Number.NaN, 0.4),
  label: named(["car", "bus"], [1, 1, -1, 0]),
  source: named(["", "night"], [0, 0, 0, 1]),
  state: named(["open", "task", "truth"], [0, 1, 0, 2]),
  predictedAt: Float64Array.of(1000, 2000, 3000, 1000),
  item: (row) => `item-${row}`,
};
const PALETTE = new Map([["bus", "#ff0000"]]);

describe("colours", () => {
  test.each(COLOURINGS)("by %s, every point has one", (by) => {
    const { codes, colours } = colouringOf(COLUMNS, by, PALETTE);
    for (const code of codes) expect(colours[code]).toMatch(/^#[0-9a-f]{6}$/);
  });

  test("the riskier, the further along the ramp", () => {
    const { codes } = colouringOf(COLUMNS, "risk", PALETTE);
    expect([...codes]).toEqual([0, 32, 63, 12]);
  });

  test("a p-value counts by its logarithm, and the least ones alike", () => {
    const [usual, tenth, thousandth, least] = colouringOf(COLUMNS, "anomaly", PALETTE).codes;
    expect([usual, tenth, thousandth, least]).toEqual([0, 21, 63, 63]);
  });

  test("labels have the project's colours, the most frequent first, and nothing found is a group of its own", () => {
    const { legend, codes, colours } = colouringOf(COLUMNS, "label", PALETTE);
    if (legend.kind !== "groups") throw new Error("labels are groups");
    expect(legend.groups.map(({ name, count }) => [name, count])).toEqual([
      ["bus", 2],
      ["car", 1],
      ["nothing found", 1],
    ]);
    expect(colours[codes[0] ?? -1]).toBe("#ff0000");
    expect(codes[2]).toBe(legend.groups[2]?.code);
  });

  test("more labels than there are codes share the last group", () => {
    const count = 500;
    const many = {
      ...COLUMNS,
      label: named(
        Array.from({ length: count }, (_, at) => `label ${at}`),
        [...Array(count).keys()],
      ),
    };
    const { legend, codes } = colouringOf(many, "label", PALETTE);
    if (legend.kind !== "groups") throw new Error("labels are groups");
    expect(legend.groups.at(-1)).toMatchObject({ name: "300 others", count: 300 });
    expect(new Set(codes).size).toBe(201);
  });

  test("a model without training images knows of no anomaly", () => {
    expect(knowsAnomalies(COLUMNS)).toBe(true);
    expect(knowsAnomalies({ ...COLUMNS, anomaly: Float32Array.of(1, 1, 1, 1) })).toBe(false);
  });
});

describe("painting", () => {
  const plane = planeOf(COLUMNS.x, COLUMNS.y);
  const colouring = colouringOf(COLUMNS, "label", PALETTE);
  const VIEW = { scale: 0.04, x: 5, y: 0 }; // points at 5, 18, 32 and 45, row 5

  const painted = (hidden: number[] = [], selected: number[] = []): Pixels => {
    const pixels = { data: new Uint32Array(50 * 10), width: 50, height: 10 };
    paint(pixels, sceneOf(plane, colouring, new Set(hidden), Int32Array.from(selected)), VIEW, 2);
    return pixels;
  };
  const at = ({ data, width }: Pixels, x: number, y: number): string => {
    const value = data[y * width + x] ?? 0;
    return `#${[value & 255, (value >> 8) & 255, (value >> 16) & 255].map((one) => one.toString(16).padStart(2, "0")).join("")}`;
  };

  test("a point has its colour where it lies, and the ground is between", () => {
    const pixels = painted();
    expect(at(pixels, 5, 5)).toBe("#ff0000");
    expect(at(pixels, 12, 5)).toBe(GROUND);
  });

  test("groups that are hidden are not painted", () => {
    expect(at(painted([colouring.codes[0] ?? -1]), 5, 5)).toBe(GROUND);
  });

  test("what is not selected is faint, once something is", () => {
    const pixels = painted([], [1]);
    expect(at(pixels, 18, 5)).toBe("#ff0000");
    expect(at(pixels, 5, 5)).not.toBe("#ff0000");
    expect(at(pixels, 5, 5)).not.toBe(GROUND);
  });

  test("points beyond the edges are cut off there, and reach no other row", () => {
    const pixels = { data: new Uint32Array(50 * 10), width: 50, height: 10 };
    paint(pixels, sceneOf(plane, colouring, new Set(), null), { scale: 0.04, x: 0, y: 0 }, 4);
    expect(at(pixels, 0, 5)).toBe("#ff0000");
    expect(at(pixels, 49, 4)).toBe(GROUND);
  });

  test("many points are small, and grow as one looks closer", () => {
    const canvas = { data: new Uint32Array(), width: 1000, height: 800 };
    expect(radiusOf(100_000, canvas, 1, 1)).toBe(0.8);
    expect(radiusOf(100_000, canvas, 30, 1)).toBeGreaterThan(2);
    expect(radiusOf(3, canvas, 1, 2)).toBe(10);
  });
});

describe("facts", () => {
  test.each([
    [[], "nothing"],
    [["car"], "car"],
    [["bus", "car", "car"], "car ×2, bus"],
  ])("%j is told as: %s", (labels, words) => {
    expect(foundIn(labels.map((label) => ({ label })))).toBe(words);
  });

  test("the service's word on an image's state is newer than the map's", () => {
    expect(stateOf(COLUMNS, 0, null)).toBe("nobody has looked");
    const item = { truth: null, prediction: { task_id: "task_1" } } as unknown as Parameters<typeof stateOf>[2];
    expect(stateOf(COLUMNS, 0, item)).toBe("has, or had, a task");
  });

  test("what was picked and selected is found again on a new drawing, as far as it is there", () => {
    const items = ["item-3", "item-1"];
    const after: Columns = { ...COLUMNS, count: 2, item: (row) => items[row] ?? "" };
    const chosen = { hovered: 2, picked: 3, selected: Int32Array.of(0, 1, 3) };
    expect(foundAgain(chosen, COLUMNS, after)).toEqual({ hovered: null, picked: 0, selected: Int32Array.of(0, 1) });
    expect(foundAgain({ ...chosen, picked: 2 }, COLUMNS, after).picked).toBeNull();
  });

  test("only what nobody has looked at can be queued; the riskiest is shown first", () => {
    expect([...openOf(COLUMNS, Int32Array.of(0, 1, 2, 3))]).toEqual([0, 2]);
    expect([...byRisk(COLUMNS, Int32Array.of(0, 1, 2, 3))]).toEqual([2, 1, 3, 0]);
  });
});
