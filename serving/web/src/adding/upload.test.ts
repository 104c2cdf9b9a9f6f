import { expect, test } from "vitest";
import { NetworkError, ProblemError } from "../api/problem";
import type { Picture } from "./adding";
import { type Send, type Sent, Upload, endUploads, isSending, keepUpload, uploadOf } from "./upload";

const pictures = (count: number): Picture[] =>
  Array.from({ length: count }, (_, number) => ({ file: new File(["x"], `${number}.png`), path: `${number}.png` }));

const sent = (changes: Partial<Sent> = {}): Sent => ({
  digest: "d",
  isNew: true,
  predicted: false,
  routed: false,
  ...changes,
});

const problem = (status: number, code = "busy", retryAfter: number | null = null) =>
  new ProblemError({ type: `/problems/${code}`, title: "T", status, detail: "D", hint: "H", ids: {} }, retryAfter);

/** Sleeps are over at once, and their lengths kept. */
function uploadOfMany(count: number, send: Send) {
  const pauses: number[] = [];
  const upload = new Upload(pictures(count), send, () => 0, (seconds) => (pauses.push(seconds), Promise.resolve()));
  return { upload, pauses };
}

test("each picture is sent once, a few at a time, and what came of each is counted", async () => {
  let [open, most] = [0, 0];
  const seen: string[] = [];
  const { upload } = uploadOfMany(20, async ({ path }) => {
    most = Math.max(most, (open += 1));
    seen.push(path);
    await new Promise((resolve) => setTimeout(resolve, 1));
    open -= 1;
    const number = Number.parseInt(path);
    return sent({ digest: path, isNew: number >= 5, predicted: number >= 5, routed: number >= 15 });
  });
  await upload.run();
  expect(new Set(seen).size).toBe(20);
  expect(seen).toHaveLength(20);
  expect(most).toBe(4);
  expect(upload.progress).toMatchObject({ phase: "ended", done: 20, added: 15, there: 5, predicted: 15, routed: 5 });
  expect(upload.digests).toHaveLength(15);
});

test("one that is refused is named and stops no other; it alone is sent again", async () => {
  let bad = true;
  const seen: string[] = [];
  const { upload } = uploadOfMany(6, async ({ path }) => {
    seen.push(path);
    if (path === "2.png" && bad) throw problem(400);
    return sent();
  });
  await upload.run();
  expect(upload.progress).toMatchObject({ phase: "ended", done: 6, added: 5 });
  expect(upload.progress.failures).toEqual([{ path: "2.png", problem: { title: "T", detail: "D", hint: "H" } }]);
  bad = false;
  seen.length = 0;
  await upload.again();
  expect(seen).toEqual(["2.png"]);
  expect(upload.progress).toMatchObject({ phase: "ended", done: 6, added: 6, failures: [], before: 5 });
});

test("an outage is waited out however long, and told; as long as the service says, at most ten seconds", async () => {
  const errors = [new NetworkError(), new NetworkError(), problem(429, "limited", 7), problem(503, "full", 60)];
  const waits: unknown[] = [];
  const { upload, pauses } = uploadOfMany(1, (_, persist) =>
    persist(async () => {
      waits.push(upload.progress.waits?.title);
      const error = errors.shift();
      if (error) throw error;
      return sent();
    }),
  );
  await upload.run();
  expect(pauses).toEqual([1, 2, 7, 10]);
  expect(waits).toEqual([undefined, "No connection", "No connection", "T", "T"]);
  expect(upload.progress).toMatchObject({ added: 1, failures: [], waits: null });
});

test.each([
  { status: 500, code: "internal", tries: 3 },
  { status: 503, code: "no-champion", tries: 1 },
  { status: 409, code: "conflict", tries: 1 },
])("what would not come right by itself is not asked for ever: $code", async ({ status, code, tries }) => {
  let asked = 0;
  const { upload } = uploadOfMany(1, (_, persist) =>
    persist(async () => {
      asked += 1;
      throw problem(status, code);
    }),
  );
  await upload.run();
  expect(asked).toBe(tries);
  expect(upload.progress.failures).toHaveLength(1);
});

test("what is under way when it is cancelled counts as not sent, and is sent with the rest", async () => {
  let held = true;
  const seen: string[] = [];
  const { upload } = uploadOfMany(10, async ({ path }, _, signal) => {
    seen.push(path);
    if (held && seen.length > 2) {
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new NetworkError())));
    }
    return sent();
  });
  const running = upload.run();
  await new Promise((resolve) => setTimeout(resolve, 5));
  upload.cancel();
  await running;
  expect(upload.progress).toMatchObject({ phase: "cancelled", done: 2, added: 2, failures: [] });
  held = false;
  await upload.again();
  expect(upload.progress).toMatchObject({ phase: "ended", done: 10, added: 10 });
  expect(new Set(seen).size).toBe(10);
});

test("it is found again by who began it, for its project, and ends when they sign out", async () => {
  const [mine, theirs] = [{}, {}];
  const { upload } = uploadOfMany(1, (_picture, _persist, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new NetworkError()))),
  );
  keepUpload(mine, "street", upload);
  const running = upload.run();
  expect(uploadOf(mine, "street")).toBe(upload);
  expect(uploadOf(mine, "yard")).toBe(null);
  expect(uploadOf(theirs, "street")).toBe(null);
  expect([isSending(mine), isSending(theirs)]).toEqual([true, false]);
  endUploads(mine);
  await running;
  expect(isSending(mine)).toBe(false);
});
