/** Unsent work, one draft per task, so that neither a reload nor a lost lease costs a box. */
import type { Geometry } from "../api/types";
import type { Values } from "./attributes";
import type { Box, Point } from "./geometry";
import { Keep, isRecord } from "./keep";
import { LEAST_POINTS } from "./outline";
import { type Link, type Proposed, type Shape, bare } from "./shapes";

export interface Draft {
  readonly shapes: readonly Shape[];
  readonly note: string;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
  /** How long somebody has worked on it. */
  readonly activeMs?: number;
  /** When the service took an earlier state of it, or this one, by the service's clock and in its words. */
  readonly takenAt?: string;
}

const KEPT_FOR_MS = 30 * 24 * 3600 * 1000;

export class Drafts {
  private readonly keep: Keep<Draft>;

  constructor(storage: Storage, user: string) {
    this.keep = new Keep(storage, `askance/draft/${user}/`, isDraft);
  }

  save = (task: string, draft: Draft): boolean => this.keep.put(task, draft);
  load = (task: string): Draft | null => draftFrom(this.keep.get(task));
  drop = (task: string): void => this.keep.drop(task);

  /** Forgets drafts of long ago, whose tasks somebody else has finished. */
  prune(now: number): void {
    for (const task of this.keep.keys()) {
      const draft = this.keep.get(task);
      if (!draft || now - draft.savedAt > KEPT_FOR_MS) this.keep.drop(task);
    }
  }
}

function isDraft(value: unknown): value is Draft {
  return draftFrom(value) !== null;
}

/** A draft as this page, or one before it, wrote it; null where it cannot be used. */
export function draftFrom(value: unknown): Draft | null {
  if (!isRecord(value)) return null;
  const { note, savedAt, shapes, activeMs, takenAt } = value;
  if (typeof note !== "string" || typeof savedAt !== "number" || !Array.isArray(shapes)) return null;
  const read = shapes.map(shapeFrom);
  if (!read.every((shape) => shape !== null)) return null;
  return {
    shapes: read,
    note,
    savedAt,
    ...(typeof activeMs === "number" ? { activeMs } : {}),
    ...(typeof takenAt === "string" ? { takenAt } : {}),
  };
}

/** Drafts from before there was more than boxes have no more than a label and a box. */
function shapeFrom(value: unknown): Shape | null {
  if (!isRecord(value)) return null;
  const { id, label, box, type = "box", points = [], attributes = {}, links = [], proposed = null } = value;
  const sound =
    typeof id === "string" &&
    typeof label === "string" &&
    isBox(box) &&
    isGeometry(type) &&
    Array.isArray(points) &&
    points.every(isPoint) &&
    (type === "box" || points.length > 0) &&
    isRecord(attributes) &&
    Array.isArray(links) &&
    links.every(isLink) &&
    (proposed === null || isProposed(proposed));
  if (!sound) return null;
  return {
    ...bare(id, label, { type, box, points }),
    attributes: attributes as Values,
    links,
    group: typeof value["group"] === "string" ? value["group"] : null,
    track: typeof value["track"] === "string" ? value["track"] : null,
    frame: typeof value["frame"] === "number" ? value["frame"] : null,
    outside: value["outside"] === true,
    proposed,
  };
}

const isGeometry = (value: unknown): value is Geometry =>
  typeof value === "string" && Object.hasOwn(LEAST_POINTS, value);

const isLink = (value: unknown): value is Link =>
  isRecord(value) && typeof value["type"] === "string" && typeof value["to"] === "string";

const isProposed = (value: unknown): value is Proposed =>
  isRecord(value) && isBox(value["box"]) && typeof value["label"] === "string" && typeof value["score"] === "number";

const isPoint = (value: unknown): value is Point =>
  isRecord(value) && Number.isFinite(value["x"]) && Number.isFinite(value["y"]);

const isBox = (value: unknown): value is Box =>
  Array.isArray(value) &&
  value.length === 4 &&
  value.every((edge) => typeof edge === "number" && Number.isFinite(edge));
