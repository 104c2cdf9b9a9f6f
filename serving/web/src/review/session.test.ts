import { beforeEach, describe, expect, test } from "vitest";
import { NetworkError } from "../api/problem";
import { MemoryStorage } from "../testing/memoryStorage";
import { QueueService, RECIPE, taskNamed } from "../testing/queueService";
import { shapesOf } from "./editor";
import { boxed } from "./outline";
import { IDLE_AFTER_MS, type Notice, ReviewSession } from "./session";

let service: QueueService;
let storage: MemoryStorage;
let tally: MemoryStorage;
let notices: Notice[];

beforeEach(() => {
  service = new QueueService(["t1", "t2", "t3", "t4"].map(taskNamed));
  storage = new MemoryStorage();
  tally = new MemoryStorage();
  notices = [];
});

/** A page that has just been opened, and has asked for work. */
async function page(): Promise<ReviewSession> {
  const session = new ReviewSession({
    api: service,
    storage,
    tally,
    user: "me",
    project: "digits",
    recipe: RECIPE,
    now: () => service.now,
    notify: (notice) => notices.push(notice),
  });
  session.tick();
  await settle();
  return session;
}

/** Lets every answer that is on its way arrive. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

async function later(session: ReviewSession, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    service.now += 1000;
    session.tick();
    await settle();
  }
}

const shown = (session: ReviewSession): string | undefined => session.snapshot().current?.task.id;
const boxes = (session: ReviewSession): readonly (readonly number[])[] => {
  const current = session.snapshot().current;
  return current ? shapesOf(current.editor).map((shape) => shape.box) : [];
};

describe("the next image is already there", () => {
  test("two tasks are leased: one to work on and one ahead", async () => {
    const session = await page();
    expect(shown(session)).toBe("t1");
    expect(session.snapshot().next?.id).toBe("t2");
    expect(session.snapshot().open).toBe(2);
  });

  test("submitting shows the next task before the service has answered", async () => {
    const session = await page();
    session.submit();
    expect(shown(session)).toBe("t2");
    await settle();
    expect(service.stateOf("t1")).toBe("done");
    expect(session.snapshot().next?.id).toBe("t3");
    expect(session.snapshot().done).toBe(1);
  });

  test("no more than two tasks are held, so that others find the rest", async () => {
    const session = await page();
    session.submit();
    await later(session, 30);
    expect(["t1", "t2", "t3", "t4"].map(service.stateOf)).toEqual(["done", "leased", "leased", "open"]);
  });

  test("every task is shown once, then the queue is empty; a new task appears by itself", async () => {
    const session = await page();
    const seen: (string | undefined)[] = [];
    while (session.snapshot().phase === "working") {
      seen.push(shown(session));
      session.submit();
      await settle();
    }
    expect(seen).toEqual(["t1", "t2", "t3", "t4"]);
    expect(session.snapshot().phase).toBe("empty");
    service = Object.assign(service, new QueueService([taskNamed("t5")]), { now: service.now });
    await later(session, 4);
    expect(shown(session)).toBe("t5");
  });

  test("skipping sends the reason", async () => {
    const session = await page();
    session.skip("  too dark ");
    await settle();
    expect(service.answerOf("t1")).toEqual({ epoch: 1, reason: "too dark" });
  });
});

describe("nothing that was done is lost", () => {
  test("a reload goes on with the same task and the unsent boxes", async () => {
    const session = await page();
    session.edit({ type: "add", label: "1", outline: boxed([1, 2, 30, 40]) });
    session.setNote("hello");
    const again = await page();
    expect(shown(again)).toBe("t1");
    expect(boxes(again)).toEqual(boxes(session));
    expect(again.snapshot().current).toMatchObject({ note: "hello", restored: true });
  });

  test("starting over is the model's boxes again, and can be undone", async () => {
    const session = await page();
    session.edit({ type: "remove", id: "m0" });
    session.startOver();
    expect(boxes(session)).toHaveLength(2);
    session.edit({ type: "undo" });
    expect(boxes(session)).toHaveLength(1);
  });

  test("answers given without a connection are kept, and sent when it is back", async () => {
    const session = await page();
    service.down = true;
    session.submit();
    session.submit();
    await settle();
    expect(session.snapshot()).toMatchObject({ online: false, done: 0 });
    expect(session.snapshot().outbox).toHaveLength(2);
    service.down = false;
    await later(session, 5);
    expect([service.stateOf("t1"), service.stateOf("t2")]).toEqual(["done", "done"]);
    expect(session.snapshot()).toMatchObject({ online: true, done: 2, outbox: [] });
  });

  test("a reload without a connection still sends them later", async () => {
    const session = await page();
    session.edit({ type: "remove", id: "m0" });
    service.down = true;
    session.submit();
    await settle();
    service.down = false;
    const again = await page();
    expect(service.stateOf("t1")).toBe("done");
    expect(service.answerOf("t1")).toMatchObject({ shapes: [{ label: "7", box: [10, 10, 40, 50] }] });
    expect(shown(again)).toBe("t2");
  });

  test("a lost response is asked for again and counts once", async () => {
    const session = await page();
    service.losesResponses = true;
    session.submit();
    await settle();
    expect(session.snapshot().done).toBe(0);
    service.losesResponses = false;
    await later(session, 3);
    expect(session.snapshot()).toMatchObject({ done: 1, outbox: [] });
    expect(notices).toEqual([]);
  });

  test("a refused answer is announced, and its task comes back with the boxes", async () => {
    service = Object.assign(new QueueService([taskNamed("t1")]), { refusal: { status: 422, code: "bad-shape" } });
    const session = await page();
    session.edit({ type: "remove", id: "m0" });
    session.submit();
    await settle();
    expect(notices).toMatchObject([{ tone: "error" }]);
    expect(session.snapshot().done).toBe(0);
    expect(shown(session)).toBe("t1");
    expect(boxes(session)).toHaveLength(1);
  });

  test("the count of this session survives a reload", async () => {
    const session = await page();
    session.submit();
    await settle();
    expect((await page()).snapshot().done).toBe(1);
  });

  test("what was skipped is counted among it, and apart", async () => {
    const session = await page();
    session.skip("too dark");
    await settle();
    session.submit();
    await settle();
    expect(session.snapshot()).toMatchObject({ done: 2, skipped: 1 });
    expect((await page()).snapshot()).toMatchObject({ done: 2, skipped: 1 });
  });

  test("a browser that cannot keep drafts is said, once something would be lost", async () => {
    const session = await page();
    storage.full = true;
    session.edit({ type: "remove", id: "m0" });
    expect(notices).toMatchObject([{ tone: "error", title: "Drafts cannot be kept" }]);
  });
});

describe("leases", () => {
  test("both tasks are renewed every third of the lease, so that they never run out", async () => {
    const session = await page();
    await later(session, 65);
    const beats = service.calls.filter((call) => call === "heartbeat t1").length;
    expect(beats).toBe(3);
    expect(service.calls.filter((call) => call === "heartbeat t2")).toHaveLength(3);
    expect(session.snapshot().current?.lost).toBeNull();
  });

  test("a heartbeat without an answer is tried again soon, and is no loss", async () => {
    const session = await page();
    service.down = true;
    await later(session, 25);
    expect(session.snapshot()).toMatchObject({ online: false, current: { lost: null } });
    service.down = false;
    await later(session, 5);
    expect(session.snapshot().online).toBe(true);
  });

  test("a heartbeat says until when a caller waits who came since, or came again", async () => {
    const session = await page();
    const until = (): number => Date.parse(session.snapshot().current?.task.answer_by ?? "");
    expect(until()).toBeNaN();
    service.lease = () => Promise.reject(new NetworkError()); // what a lease says too
    for (const waits of [service.now + 100_000, service.now + 300_000]) {
      service.await("t1", waits);
      await later(session, 21);
      expect(until()).toBe(waits);
    }
  });

  test("that nobody waits any more is still said when the service has forgotten it", async () => {
    const session = await page();
    const over = service.now + 5000;
    service.await("t1", over);
    await later(session, 21);
    service.await("t1", null);
    await later(session, 61);
    expect(Date.parse(session.snapshot().current?.task.answer_by ?? "")).toBe(over);
    session.submit();
    await settle();
    expect(session.snapshot().current?.task).toMatchObject({ id: "t2", answer_by: null });
  });

  test("a lost lease stops the answer, and leasing again restores the boxes", async () => {
    const session = await page();
    session.edit({ type: "remove", id: "m0" });
    service.takeAway("t1", "somebody");
    await later(session, 21);
    expect(session.snapshot().current?.lost).not.toBeNull();
    service.takeAway("t1", null);
    session.submit();
    expect(shown(session)).toBe("t1");
    expect(await session.reclaim()).toBe(true);
    expect(session.snapshot().current?.lost).toBeNull();
    session.submit();
    await settle();
    expect(service.answerOf("t1")).toMatchObject({ epoch: 3, shapes: [{ label: "7" }] });
  });

  test("a lease that ran out with nobody else wanting the task is taken again, and said", async () => {
    const session = await page();
    session.edit({ type: "remove", id: "m0" });
    service.takeAway("t1", null);
    await later(session, 11);
    expect(session.snapshot().current).toMatchObject({ lost: null, task: { epoch: 2 } });
    expect(boxes(session)).toHaveLength(1);
    expect(notices).toMatchObject([{ tone: "info" }]);
  });

  test("looking for a lost task gives the others back", async () => {
    const session = await page();
    service.takeAway("t1", "somebody");
    await later(session, 21);
    expect(await session.reclaim()).toBe(false);
    await settle();
    expect(service.stateOf("t4")).toBe("open");
    session.leaveLost();
    await settle();
    expect(shown(session)).toBe("t2");
  });

  test("a task that was leased in the place of a lost one is kept in hand, not forgotten", async () => {
    const session = await page();
    service.takeAway("t1", "somebody");
    await later(session, 61);
    session.leaveLost();
    session.submit();
    await settle();
    expect(shown(session)).toBe("t3");
    expect(service.calls).toContain("heartbeat t3");
  });

  test("a task lost before it was shown is replaced in silence", async () => {
    const session = await page();
    service.takeAway("t2", "somebody");
    await later(session, 25);
    expect(session.snapshot().next?.id).toBe("t3");
    expect(notices).toEqual([]);
  });

  test("nobody at the page: leases are left to run out; back again, they are renewed at once", async () => {
    const session = await page();
    service.now += IDLE_AFTER_MS;
    service.calls.length = 0;
    await later(session, 30);
    expect(session.snapshot().idle).toBe(true);
    const quiet = service.calls.length;
    await later(session, 60);
    expect(service.calls.length).toBe(quiet);
    session.touched();
    await settle();
    expect(session.snapshot().idle).toBe(false);
    expect(service.calls.length).toBeGreaterThan(quiet);
  });

  test("leaving gives the tasks back to the queue; a reload does not", async () => {
    const session = await page();
    session.close(false);
    await settle();
    expect(service.stateOf("t1")).toBe("leased");
    const again = await page();
    again.close(true);
    await settle();
    expect([service.stateOf("t1"), service.stateOf("t2")]).toEqual(["open", "open"]);
  });
});

const drawn = { type: "add", label: "1", outline: boxed([1, 2, 30, 40]) } as const;
const serverDraft = (task: string): unknown => service.draftOf(task)?.content;

describe("drafts on the service", () => {
  test("many changes are one save, after a pause, with the epoch", async () => {
    const session = await page();
    session.edit(drawn);
    session.edit({ type: "relabel", id: "d1", label: "7" });
    await later(session, 1);
    expect(service.draftOf("t1")).toBeNull();
    await later(session, 3);
    expect(service.calls.filter((call) => call === "draft t1")).toHaveLength(1);
    expect(service.draftOf("t1")).toMatchObject({ epoch: 1, content: { shapes: [{}, {}, { label: "7" }] } });
  });

  test("work without a pause is saved as well", async () => {
    const session = await page();
    for (let x = 1; x < 13; x += 1) {
      session.edit({ type: "reshape", id: "m0", outline: boxed([x, 1, 40, 40]) });
      await later(session, 1);
    }
    expect(service.draftOf("t1")).not.toBeNull();
  });

  test("selecting is nothing to save", async () => {
    const session = await page();
    session.edit({ type: "cycle", by: 1 });
    await later(session, 5);
    expect(service.draftOf("t1")).toBeNull();
  });

  test("leaving saves at once, before the task is given back", async () => {
    const session = await page();
    session.edit(drawn);
    session.close(true);
    await settle();
    expect(serverDraft("t1")).toMatchObject({ shapes: [{}, {}, { label: "1" }] });
    expect(service.stateOf("t1")).toBe("open");
  });

  test("at another machine the work goes on", async () => {
    const session = await page();
    session.edit(drawn);
    await later(session, 4);
    storage = new MemoryStorage();
    const elsewhere = await page();
    expect(boxes(elsewhere)).toEqual(boxes(session));
    expect(elsewhere.snapshot().current?.restored).toBe(true);
  });

  test("of two drafts the newer is restored, by the service's clock or by this one's", async () => {
    service.clockOffset = 3_600_000;
    const session = await page();
    session.edit(drawn);
    await later(session, 4);
    session.edit({ type: "remove", id: "d1" });
    session.edit({ type: "remove", id: "m0" });
    expect(boxes(await page())).toHaveLength(1);
    service.tellDraft("t1", service.now + service.clockOffset - 60_000);
    expect(boxes(await page())).toHaveLength(1);
    service.tellDraft("t1", service.now + service.clockOffset + 60_000);
    expect(boxes(await page())).toHaveLength(3);
  });

  test("clocks that disagree cost nothing: work after the last save at the same browser is newer", async () => {
    const session = await page();
    session.edit(drawn);
    await later(session, 4);
    session.edit({ type: "remove", id: "d1" });
    session.edit({ type: "remove", id: "m0" });
    service.clockOffset = -60_000;
    expect(boxes(await page())).toHaveLength(1);
  });

  test("undone to the beginning, the service's draft is so too", async () => {
    const session = await page();
    session.edit(drawn);
    await later(session, 4);
    session.edit({ type: "undo" });
    await later(session, 4);
    storage = new MemoryStorage();
    expect((await page()).snapshot().current?.restored).toBe(false);
  });

  test("without a connection the draft stays here, and follows later", async () => {
    const session = await page();
    session.edit(drawn);
    service.down = true;
    await later(session, 5);
    expect(boxes(await page())).toHaveLength(0);
    service.down = false;
    await later(session, 12);
    expect(serverDraft("t1")).toMatchObject({ shapes: [{}, {}, {}] });
  });

  test("a lease that somebody else has is told, and the draft kept here", async () => {
    const session = await page();
    service.takeAway("t1", "somebody");
    session.edit(drawn);
    await later(session, 4);
    expect(session.snapshot().current?.lost).not.toBeNull();
    expect(boxes(session)).toHaveLength(3);
    service.takeAway("t1", null);
    expect(await session.reclaim()).toBe(true);
    await later(session, 4);
    expect(boxes(await page())).toHaveLength(3);
  });

  test("a lease that nobody else wanted is taken again, and the draft follows under the new epoch", async () => {
    const session = await page();
    service.takeAway("t1", null);
    session.edit(drawn);
    await later(session, 6);
    expect(session.snapshot().current).toMatchObject({ lost: null, task: { epoch: 2 } });
    expect(service.draftOf("t1")).toMatchObject({ epoch: 2, content: { shapes: [{}, {}, {}] } });
  });

  test("an answered task sends no draft after it", async () => {
    const session = await page();
    session.edit(drawn);
    session.submit();
    await later(session, 5);
    expect(service.calls).not.toContain("draft t1");
  });
});

describe("an answer that breaks the rules", () => {
  const issue = { rule: "r", severity: "error", message: "too small", shapes: ["m0"] } as const;

  test("comes back next, with its shapes and what is wrong", async () => {
    const session = await page();
    session.edit(drawn);
    service.refusal = { status: 422, code: "rules-broken", issues: [{ ...issue, shapes: ["m0"] }] };
    session.submit();
    await settle();
    service.refusal = null;
    expect(session.snapshot().next?.id).toBe("t1");
    session.skip("later");
    await settle();
    expect(shown(session)).toBe("t1");
    expect(boxes(session)).toHaveLength(3);
    expect(session.snapshot().current?.refusal).toEqual([issue]);
    session.submit();
    await settle();
    expect(service.stateOf("t1")).toBe("done");
  });
});

describe("a refusal that comes late", () => {
  test("still brings the task back next", async () => {
    const session = await page();
    let arrive: () => void = () => undefined;
    service.slow = new Promise((resolve) => (arrive = resolve));
    session.submit();
    await later(session, 12);
    expect([shown(session), session.snapshot().next?.id]).toEqual(["t2", "t3"]);
    service.refusal = { status: 422, code: "rules-broken", issues: [] };
    arrive();
    await settle();
    expect(session.snapshot().next?.id).toBe("t1");
  });
});

describe("other kinds of work", () => {
  const put = (change: object): void => {
    service = Object.assign(new QueueService([{ ...taskNamed("t1"), ...change }]), { now: service.now });
  };

  test("an answer of somebody is accepted", async () => {
    put({ stage: "qa", answers: [{ shapes: [{ label: "7", box: [1, 2, 30, 40] }], note: "" }] });
    const session = await page();
    expect(boxes(session)).toEqual([[1, 2, 30, 40]]);
    session.accept();
    await settle();
    expect(service.answerOf("t1")).toEqual({ epoch: 1 });
  });

  test("or returned, with what is to be mended; never without", async () => {
    put({ stage: "qa", answers: [{ shapes: [], note: "" }] });
    const session = await page();
    session.giveBackAnswer([]);
    expect(shown(session)).toBe("t1");
    session.setNote(" look again ");
    session.giveBackAnswer([{ message: "one is missing", shapes: [] }]);
    await settle();
    expect(service.answerOf("t1")).toEqual({
      epoch: 1,
      issues: [{ message: "one is missing", shapes: [] }],
      note: "look again",
    });
  });

  test("a verdict given without a connection is sent when it is back", async () => {
    put({ stage: "qa", answers: [{ shapes: [], note: "" }] });
    const session = await page();
    service.down = true;
    session.accept();
    await settle();
    service.down = false;
    const again = await page();
    await later(again, 5);
    expect(service.stateOf("t1")).toBe("done");
  });

  test("a training shows the right answer over mine, until it has been looked at", async () => {
    const session = await page();
    service.golden = { shapes: [], precision: 0, recall: 1, right: 0 };
    session.submit();
    await settle();
    const { feedback } = session.snapshot();
    expect([feedback?.task.id, feedback?.mine.length]).toEqual(["t1", 2]);
    session.dismissFeedback();
    expect(session.snapshot().feedback).toBeNull();
    expect(shown(session)).toBe("t2");
  });

  test("the time of work is sent with the answer", async () => {
    const session = await page();
    await later(session, 30);
    session.touched();
    await later(session, 120);
    session.submit();
    await settle();
    expect(service.answerOf("t1")).toMatchObject({ active_seconds: 90 });
  });

  test("a task is answered under its own version of the recipe", async () => {
    put({ recipe_version: 4 });
    const session = await page();
    expect(session.snapshot().current?.recipe.version).toBe(4);
    expect(service.calls.filter((call) => call === "recipe 4")).toHaveLength(1);
  });

  test("what keeps a person from more is told", async () => {
    service = new QueueService([]);
    service.why = "You have answered 200 tasks today.";
    expect((await page()).snapshot()).toMatchObject({ phase: "empty", why: service.why });
  });
});
