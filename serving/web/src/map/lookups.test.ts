import { expect, test } from "vitest";
import { Lookups } from "./lookups";

/** Fetches that end when they are told to. */
function desk() {
  const asked: string[] = [];
  const open = new Map<string, (error?: Error) => void>();
  const fetchOne = (key: string): Promise<string> => {
    asked.push(key);
    return new Promise((done, failed) => open.set(key, (error) => (error ? failed(error) : done(`the ${key}`))));
  };
  return { asked, fetchOne, end: (key: string, error?: Error) => open.get(key)?.(error) };
}

const settled = (): Promise<void> => new Promise((done) => setTimeout(done));

test("one that is known is not fetched again", async () => {
  const { asked, fetchOne, end } = desk();
  const lookups = new Lookups(fetchOne, 10);
  const first = lookups.get("a");
  end("a");
  expect(await first).toBe("the a");
  expect(await lookups.get("a")).toBe("the a");
  expect(asked).toEqual(["a"]);
});

test("no more are fetched at once than agreed, and what was asked for last comes first", async () => {
  const { asked, fetchOne, end } = desk();
  const lookups = new Lookups(fetchOne, 10, () => undefined, 2);
  for (const key of ["a", "b", "c", "d"]) void lookups.get(key);
  expect(asked).toEqual(["a", "b"]);
  end("a");
  await settled();
  expect(asked).toEqual(["a", "b", "d"]);
});

test("one that failed can be asked for again", async () => {
  const { asked, fetchOne, end } = desk();
  const lookups = new Lookups(fetchOne, 10);
  const first = lookups.get("a");
  end("a", new Error("no"));
  await expect(first).rejects.toThrow("no");
  void lookups.get("a");
  expect(asked).toEqual(["a", "a"]);
});

test("the one that nobody has looked at for longest is let go, and freed", async () => {
  const { fetchOne, end } = desk();
  const freed: string[] = [];
  const lookups = new Lookups(fetchOne, 2, (value) => freed.push(value));
  for (const key of ["a", "b"]) {
    void lookups.get(key);
    end(key);
  }
  void lookups.get("a");
  void lookups.get("c");
  await settled();
  expect(freed).toEqual(["the b"]);
  end("c");
  lookups.clear();
  await settled();
  expect(freed.sort()).toEqual(["the a", "the b", "the c"]);
});
