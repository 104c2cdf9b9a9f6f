import { expect, test } from "vitest";
import { fileOf, pathOf, shortPath, titleOf } from "./names";

const digest = "0123456789abcdef";

test.each([
  [{}, "Item 0123456789ab…"],
  [{ path: " " }, "Item 0123456789ab…"],
  [{ path: "b/frame-014.png" }, "b/frame-014.png"],
])("an item with %j is called %s", (meta, title) => {
  expect(titleOf({ digest, meta })).toBe(title);
});

test("of a long path the end stays, from a folder on where there is one", () => {
  expect(shortPath("site/line 1/2026-11-28/frame-014.png", 30)).toBe("…/2026-11-28/frame-014.png");
  expect(shortPath("x".repeat(60), 10)).toBe(`…${"x".repeat(9)}`);
  expect(shortPath("a/b.png", 10)).toBe("a/b.png");
});

test.each([
  ["b/frame-014.png", "frame-014.png"],
  ["frame.png", "frame.png"],
  ["folder/", "folder"],
])("the file of %s is %s", (path, file) => {
  expect(fileOf(path)).toBe(file);
  expect(pathOf({ meta: { path } })).toBe(path);
});
