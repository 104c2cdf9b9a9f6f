import { expect, test } from "vitest";
import type { Notice } from "../review/session";
import { closing } from "./act";

function dialog() {
  const did: string[] = [];
  const notify = ({ title }: Notice) => void did.push(`told ${title}`);
  const refresh = async () => void did.push("renewed");
  return { did, send: closing(notify, refresh, () => did.push("closed")) };
}

test("a dialog closes once what it asks for is done", async () => {
  const { did, send } = dialog();
  await send(Promise.resolve(), "Rates changed", "");
  expect(did).toEqual(["closed", "told Rates changed", "renewed"]);
});

test("what is refused leaves it open, and reaches it", async () => {
  const { did, send } = dialog();
  await expect(send(Promise.reject(new Error("No.")), "Rates changed", "")).rejects.toThrow("No.");
  expect(did).toEqual(["renewed"]);
});
