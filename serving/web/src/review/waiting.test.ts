import { describe, expect, test } from "vitest";
import { callerWaits } from "./waiting";

const END = "2026-03-01T12:00:00Z";
const before = (seconds: number) => callerWaits(END, Date.parse(END) - 1000 * seconds);

describe("a caller that waits for an answer", () => {
  test("is told of by the seconds that are left", () => {
    expect(before(24)?.words).toBe("a caller waits: 0:24");
    expect(before(23.2)?.words).toBe("a caller waits: 0:24");
    expect(before(75)?.words).toBe("a caller waits: 1:15");
  });

  test("is read out once, when ten seconds are left", () => {
    expect(before(11)?.aloud).toBe("");
    const said = new Set([10, 7.5, 1].map((seconds) => before(seconds)?.aloud));
    expect([...said]).toEqual(["a caller waits for 10 more seconds at most"]);
    expect(before(10)?.tone).toBe("soon");
  });

  test("waits no more when the time is over, and the answer counts all the same", () => {
    for (const seconds of [0, -3600]) {
      expect(before(seconds)?.words).toBe("nobody waits any more; your answer still counts");
      expect(before(seconds)?.tone).toBe("over");
    }
    expect(before(0.1)?.words).toBe("a caller waits: 0:01");
  });

  test("is not there where nobody asked to wait", () => {
    for (const none of [null, undefined, ""]) expect(callerWaits(none, 0)).toBeNull();
  });
});
