/** Image files that somebody adds to a project: which can be, how far it is, what came of it, in words. */
import type { Described } from "../api/problem";
import { counted } from "../app/figures";
import { bytes, count } from "../app/format";
import type { Progress } from "./upload";

/** The place of the view within the items; no digest is like it. */
export const ADD = "add";

/** What happens to an image: it is kept and no more, or the model predicts it and the policy routes it. */
export type Treatment = "keep" | "predict";

export interface Picture {
  readonly file: File;
  /** In the folder that was chosen; else the file's name. */
  readonly path: string;
}

/** path: the file's; what is wrong with it, and what to do. */
export interface Failure {
  readonly path: string;
  readonly problem: Described;
}

export interface Chosen {
  readonly pictures: readonly Picture[];
  /** Paths of those that are no image that the service takes. */
  readonly others: readonly string[];
  /** Paths of files without a byte. */
  readonly empty: readonly string[];
}

export const NONE: Chosen = { pictures: [], others: [], empty: [] };

/** What the service takes, for the browser's file chooser. */
export const ACCEPTED = ".jpg,.jpeg,.png,.webp";

const NAME = /\.(jpe?g|png|webp)$/i;
const NOTED = 5;

/** With what was chosen before; a file of the same path counts once. Hidden files and empty ones are no images. */
export function chosenWith(before: Chosen, files: readonly Picture[]): Chosen {
  const pictures = new Map(before.pictures.map((one) => [one.path, one]));
  const others = new Set(before.others);
  const empty = new Set(before.empty);
  for (const one of files) {
    const name = one.path.split("/").pop() ?? "";
    if (name.startsWith(".")) continue;
    if (!NAME.test(name)) others.add(one.path);
    else if (one.file.size === 0) empty.add(one.path);
    else pictures.set(one.path, one);
  }
  return { pictures: [...pictures.values()], others: [...others], empty: [...empty] };
}

/** "12 images, 34.0 MB" */
export const chosenInWords = ({ pictures }: Chosen): string =>
  `${counted(pictures.length, "image")}, ${bytes(pictures.reduce((sum, { file }) => sum + file.size, 0))}`;

/** Which files are left out, and what to do; empty where there are none. */
export function leftOutInWords({ others, empty }: Chosen): string {
  const parts = [
    leftOut(others, "no JPEG, PNG or WebP", "Convert other images first; videos go to Clips."),
    leftOut(empty, "empty", "Copy them again from where they come from."),
  ];
  return parts.filter((part) => part !== "").join(" ");
}

function leftOut(paths: readonly string[], what: string, then: string): string {
  if (paths.length === 0) return "";
  const more = paths.length > NOTED ? ` and ${count(paths.length - NOTED)} more` : "";
  const be = paths.length === 1 ? "is" : "are";
  return `${paths.slice(0, NOTED).join(", ")}${more} ${be} ${what} and ${be} left out. ${then}`;
}

/** How many are done of how many, how fast, how long it still takes. now: in milliseconds, as `began`. */
export function progressInWords({ total, done, before, began }: Progress, now: number): string {
  const seconds = Math.max(0, now - began) / 1000;
  const said = `${count(done)} of ${counted(total, "image")}`;
  if (done === before || seconds < 1) return said;
  const rate = (done - before) / seconds;
  const speed = rate >= 1 ? `${rate.toFixed(rate < 10 ? 1 : 0)} a second` : `${(rate * 60).toFixed(1)} a minute`;
  return `${said} · ${speed} · ${leftInWords((total - done) / rate)}`;
}

function leftInWords(seconds: number): string {
  if (seconds < 1) return "nearly done";
  if (seconds < 60) return `about ${Math.ceil(seconds)} s left`;
  return seconds < 5400 ? `about ${Math.ceil(seconds / 60)} min left` : `about ${Math.round(seconds / 3600)} h left`;
}

/** "10 added, 2 there already, 1 not taken, 7 not sent; 3 go to people." */
export function cameInWords({ total, done, added, there, predicted, routed, failures }: Progress): string {
  const unsent = total - done;
  const parts = [
    `${count(added)} added`,
    there > 0 ? `${count(there)} there already` : "",
    failures.length > 0 ? `${count(failures.length)} not taken` : "",
    unsent > 0 ? `${count(unsent)} not sent` : "",
  ].filter((part) => part !== "");
  const about = predicted === 0 ? "" : `; ${count(predicted)} predicted, ${routedInWords(routed)}`;
  return `${parts.join(", ")}${about}.`;
}

const routedInWords = (routed: number): string =>
  routed === 0 ? "none goes to people" : routed === 1 ? "1 goes to people" : `${count(routed)} go to people`;

/** The query for what came since a moment of the service's clock (ms); its whole seconds are told. */
export const sinceQuery = (moment: number): string =>
  `created_at >= ${new Date(moment).toISOString().slice(0, 19)}Z`;
