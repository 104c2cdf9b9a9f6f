import { expect, test } from "vitest";
import { fitted, panned, seen, showing, toImage, toScreen, zoomed } from "./viewport";

const image = { width: 160, height: 160 };
const canvas = { width: 1000, height: 700 };

test("a fitted image lies whole in the middle, small ones enlarged", () => {
  const view = fitted(image, canvas);
  expect(view.scale).toBeGreaterThan(1);
  const middle = toScreen(view, { x: 80, y: 80 });
  expect(middle.x).toBeCloseTo(500);
  expect(middle.y).toBeCloseTo(350);
  expect(seen(view, image, canvas)).toEqual([0, 0, 160, 160]);
});

test("screen and image coordinates are each other's inverse", () => {
  const view = { scale: 3.7, x: -41, y: 12 };
  const back = toImage(view, toScreen(view, { x: 17.5, y: 99 }));
  expect(back.x).toBeCloseTo(17.5);
  expect(back.y).toBeCloseTo(99);
});

test("zooming keeps the point under the pointer where it is", () => {
  const view = fitted(image, canvas);
  const anchor = { x: 430, y: 300 };
  const before = toImage(view, anchor);
  const after = toImage(zoomed(view, 2.5, anchor, image, canvas), anchor);
  expect(after.x).toBeCloseTo(before.x);
  expect(after.y).toBeCloseTo(before.y);
});

test("zooming has an end in both directions", () => {
  let view = fitted(image, canvas);
  for (let step = 0; step < 100; step += 1) view = zoomed(view, 2, { x: 500, y: 350 }, image, canvas);
  expect(view.scale).toBe(64);
  for (let step = 0; step < 100; step += 1) view = zoomed(view, 0.5, { x: 500, y: 350 }, image, canvas);
  expect(view.scale).toBeGreaterThan(0.1);
});

test("panning cannot lose the image", () => {
  const view = panned(fitted(image, canvas), 99_999, -99_999, image, canvas);
  expect(view.x).toBeLessThan(canvas.width);
  expect(view.y + view.scale * image.height).toBeGreaterThan(0);
});

test("a box moved out of sight is followed, one in sight moves nothing", () => {
  const view = zoomed(fitted(image, canvas), 6, { x: 500, y: 350 }, image, canvas);
  const followed = showing(view, [0, 0, 10, 10], image, canvas);
  const corner = toScreen(followed, { x: 0, y: 0 });
  expect(corner.x).toBeGreaterThanOrEqual(0);
  expect(corner.y).toBeGreaterThanOrEqual(0);
  expect(showing(followed, [0, 0, 10, 10], image, canvas)).toBe(followed);
});
