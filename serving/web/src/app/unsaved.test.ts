import { expect, test } from "vitest";
import { MemoryStorage } from "../testing/memoryStorage";
import { Unsaved } from "./unsaved";

test("what was typed outlives the form and a reload, until it is saved or thrown away", () => {
  const storage = new MemoryStorage();
  const unsaved = new Unsaved(storage);
  expect(unsaved.get("ada/scenes/recipe")).toBeNull();
  unsaved.set("ada/scenes/recipe", { text: "labels" });
  expect(unsaved.get("ada/scenes/policy")).toBeNull();
  expect(new Unsaved(storage).get("ada/scenes/recipe")).toEqual({ text: "labels" });
  unsaved.set("ada/scenes/recipe", null);
  expect([unsaved.get("ada/scenes/recipe"), storage.length]).toEqual([null, 0]);
});

test("where the browser stores nothing, it outlives the form still, as the same object", () => {
  const storage = new MemoryStorage();
  storage.full = true;
  const unsaved = new Unsaved(storage);
  unsaved.set("ada/scenes/recipe", { text: "labels" });
  expect(unsaved.get("ada/scenes/recipe")).toBe(unsaved.get("ada/scenes/recipe"));
  expect(unsaved.get("ada/scenes/recipe")).toEqual({ text: "labels" });
});

test("a form that shows it is told", () => {
  const unsaved = new Unsaved(new MemoryStorage());
  const told: unknown[] = [];
  const stop = unsaved.subscribe(() => told.push(unsaved.get("policy")));
  unsaved.set("policy", "typed");
  unsaved.set("policy", null);
  stop();
  unsaved.set("policy", "again");
  expect(told).toEqual(["typed", null]);
});
