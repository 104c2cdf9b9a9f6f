import { expect, test } from "vitest";
import { begun, redone, sealed, stepped, undone } from "./history";

test("undo goes back step by step, redo forward again", () => {
  const history = stepped(stepped(begun("a"), "b"), "c");
  expect(undone(history).present).toBe("b");
  expect(undone(undone(history)).present).toBe("a");
  expect(redone(undone(history)).present).toBe("c");
});

test("at either end nothing happens", () => {
  const history = begun("a");
  expect(undone(history)).toBe(history);
  expect(redone(history)).toBe(history);
});

test("a step after undo forgets what could be redone", () => {
  const history = stepped(undone(stepped(begun("a"), "b")), "c");
  expect(redone(history).present).toBe("c");
  expect(undone(history).present).toBe("a");
});

test("a run of equal tags is undone as one, a sealed run is not continued", () => {
  const run = stepped(stepped(stepped(begun(0), 1, "move"), 2, "move"), 3, "move");
  expect(undone(run).present).toBe(0);
  expect(undone(stepped(sealed(run), 4, "move")).present).toBe(3);
  expect(undone(stepped(run, 4, "grow")).present).toBe(3);
});

test("a step to the same value is no step", () => {
  const history = begun("a");
  expect(stepped(history, "a")).toBe(history);
});

test("it remembers a bounded number of steps", () => {
  let history = begun(0);
  for (let step = 1; step <= 2000; step += 1) history = stepped(history, step);
  expect(history.past.length).toBeLessThanOrEqual(500);
});
