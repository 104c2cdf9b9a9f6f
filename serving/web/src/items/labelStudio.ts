/** Tasks that people do in Label Studio: calls that go on until there is no more to do, and what came of them. */
import { type Api, at } from "../api/client";
import type { LabelStudioProblem, LabelStudioStatus, PushBody, Pulled, Pushed, Released, Told } from "../api/types";
import { counted } from "../app/figures";

/** The place of the view within the items; no digest is like it. */
export const LABEL_STUDIO = "label-studio";

/** In the order in which a task comes to them. */
export const LINK_STATES = ["sending", "out", "answered", "skipped", "refused", "released"] as const;

const TIMEOUT_MS = 120_000; // a call sends 20 images, or looks at 50 tasks
const DONE_RIGHT: readonly Told["what"][] = ["answered", "skipped", "released"];

/** What came of an action: a sentence, and each task that something is to be said of. */
export interface Outcome {
  readonly words: string;
  readonly address: string | null;
  readonly problems: readonly LabelStudioProblem[];
}

/** onProgress: how far it is, in words, after each call. */
type Progress = (words: string) => void;

export const status = (api: Api, project: string) =>
  api.json<LabelStudioStatus>("GET", at(project, `/${LABEL_STUDIO}`));

export async function push(api: Api, project: string, body: PushBody, onProgress: Progress): Promise<Outcome> {
  let sent = 0;
  const problems: LabelStudioProblem[] = [];
  for (;;) {
    const done: Pushed = await call(api, project, "push", body);
    sent += done.sent.length;
    problems.push(...done.problems);
    if (!done.more) return { words: pushedInWords(sent, done), address: done.address, problems };
    onProgress(`${counted(sent, "task")} sent…`);
  }
}

export function pushedInWords(sent: number, { waiting, in_hand }: Pick<Pushed, "waiting" | "in_hand">): string {
  const others =
    in_hand > 0 ? ` ${in_hand} are in the hand of another push; if it died, push again in some minutes.` : "";
  return `${counted(sent, "task")} sent; ${waiting} wait for an answer there.${others}`;
}

export async function pull(api: Api, project: string, takeEdits: boolean, onProgress: Progress): Promise<Outcome> {
  const told: Told[] = [];
  let after: string | null = null;
  do {
    const done: Pulled = await call(api, project, "pull", { after, take_edits: takeEdits });
    told.push(...done.told);
    after = done.next;
    onProgress(`${toldInWords(told) || "nothing new"} so far…`);
  } while (after !== null);
  return outcomeOf(told, "Nothing new.");
}

/** All that wait there without an answer. */
export async function release(api: Api, project: string, onProgress: Progress): Promise<Outcome> {
  const told: Told[] = [];
  for (;;) {
    const done: Released = await call(api, project, "release", { tasks: null });
    told.push(...done.told);
    if (!done.more) return outcomeOf(told, "None waits there.");
    onProgress(`${toldInWords(told)} so far…`);
  }
}

const call = <T>(api: Api, project: string, what: string, body: unknown): Promise<T> =>
  api.json<T>("POST", at(project, `/${LABEL_STUDIO}/${what}`), body, { timeoutMs: TIMEOUT_MS });

export function outcomeOf(told: readonly Told[], none: string): Outcome {
  const words = toldInWords(told);
  return {
    words: words === "" ? none : `${words}.`,
    address: null,
    problems: told
      .filter(({ what }) => !DONE_RIGHT.includes(what))
      .map(({ task_id, remote, what, why }) => ({ task_id, remote, why: why === "" ? what : `${what}: ${why}` })),
  };
}

/** "41 answered, 1 problem", in the order in which they came first. */
export function toldInWords(told: readonly Told[]): string {
  const counts = new Map<string, number>();
  for (const { what } of told) counts.set(what, (counts.get(what) ?? 0) + 1);
  return [...counts].map(([what, count]) => `${count} ${what}`).join(", ");
}

/** How many of all places wait there for an answer. */
export const waitingIn = ({ places }: LabelStudioStatus): number =>
  places.reduce((sum, { counts }) => sum + (counts["sending"] ?? 0) + (counts["out"] ?? 0), 0);

export interface Typed {
  readonly title: string;
  readonly query: string;
  readonly count: string;
  readonly stage: "" | "annotate" | "audit";
}

const TITLE = [3, 50] as const; // characters, as Label Studio has it
const MOST = 10_000;

export const usualTitle = (project: string): string => `Askance ${project}`.slice(0, TITLE[1]);

/** What is asked of the service; null where a field is not filled in soundly. */
export function pushBodyOf({ title, query, count, stage }: Typed): PushBody | null {
  const [name, many] = [title.trim(), Number(count)];
  if (name.length < TITLE[0] || name.length > TITLE[1]) return null;
  if (!Number.isInteger(many) || many < 1 || many > MOST) return null;
  return {
    title: name,
    count: many,
    ...(query.trim() === "" ? {} : { query: query.trim() }),
    ...(stage === "" ? {} : { stage }),
  };
}
