import { expect, test } from "vitest";
import { type Path, type PathStep, begunPath, pathStepped } from "./path";

const image = { width: 100, height: 100 };
const set = (x: number, y: number): PathStep => ({ type: "set", at: { x, y } });

function drawing(type: Path["type"], ...steps: PathStep[]) {
  let outcome = pathStepped(begunPath(type), { type: "back" }, image, 3);
  for (const step of steps) outcome = pathStepped(outcome.path, step, image, 3);
  return outcome;
}

test("a click on the first point closes a polygon", () => {
  const { outline } = drawing("polygon", set(10, 10), set(50, 10), set(50, 50), set(11, 11));
  expect(outline?.points).toHaveLength(3);
});

test("a double click ends a polygon or a line at the point that it set", () => {
  expect(drawing("polygon", set(10, 10), set(50, 10), set(50, 50), set(50, 50)).outline?.points).toHaveLength(3);
  expect(drawing("polyline", set(10, 10), set(50, 10), set(50, 10)).outline?.points).toHaveLength(2);
});

test("a line may cross its beginning", () => {
  expect(drawing("polyline", set(10, 10), set(50, 10), set(10, 10)).outline).toBeNull();
});

test("too little of it cannot be ended, and stays", () => {
  const { path, outline } = drawing("polygon", set(10, 10), set(50, 10), { type: "end" });
  expect(outline).toBeNull();
  expect(path.points).toHaveLength(2);
});

test("a point can be taken back", () => {
  expect(drawing("polyline", set(10, 10), set(50, 10), { type: "back" }).path.points).toEqual([{ x: 10, y: 10 }]);
});
