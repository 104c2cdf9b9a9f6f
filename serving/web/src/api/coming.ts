/**
 * Routes and fields that the service may not have yet, by hand until OpenAPI publishes them. A service without them
 * answers 404, or leaves the fields out; the page then shows nothing of it.
 */
import type { components } from "./schema";

type Schemas = components["schemas"];
type PlainShape = Schemas["ShapeIO"];

export type Stage = "review" | "adjudicate" | "qa";

/** In clips: of which frame (its index), and whether a person set it or it lies between two that are. */
export interface InClip {
  readonly frame?: number;
  readonly keyframe?: boolean;
}

export type ClipShape = PlainShape & InClip;

export interface ReturnedIssue {
  readonly message: string;
  /** Ids of the shapes concerned. */
  readonly shapes: readonly string[];
}

export interface Returned {
  readonly shapes: readonly ClipShape[];
  readonly issues: readonly ReturnedIssue[];
  readonly note: string;
}

export interface Merged {
  readonly shapes: readonly ClipShape[];
  /** Ids of those shapes that people disagreed on. */
  readonly disputed: readonly string[];
}

export interface Frame {
  readonly digest: string;
  readonly index: number;
  /** Seconds from the clip's beginning. */
  readonly time: number;
  readonly width: number;
  readonly height: number;
  readonly image_url: string;
  readonly detections: readonly Schemas["DetectionOut"][];
}

export interface TaskComing {
  readonly stage?: Stage;
  readonly merged?: Merged | null;
  readonly returned?: Returned | null;
  readonly frames?: readonly Frame[] | null;
}

export interface Golden {
  readonly shapes: readonly ClipShape[];
  readonly precision: number;
  readonly recall: number;
  readonly right: boolean;
}

export interface SubmissionComing {
  readonly golden?: Golden | null;
}

export interface CustomFunction {
  readonly name: string;
  readonly label: string;
  readonly key: string;
  readonly description: string;
  readonly needs_selection: boolean;
}

export interface Functions {
  readonly functions: readonly CustomFunction[];
}

export interface ActionBody {
  readonly epoch: number;
  readonly shapes: readonly ClipShape[];
  readonly selected: readonly string[];
}

export interface ActionResult {
  readonly shapes: readonly ClipShape[];
  readonly messages: readonly string[];
}

export interface AcceptBody {
  readonly epoch: number;
  readonly note?: string;
}

export interface ReturnBody {
  readonly epoch: number;
  readonly issues: readonly ReturnedIssue[];
  readonly note?: string;
}

export type CommentKind = "comment" | "issue" | "question";

export interface CommentBody {
  readonly text: string;
  readonly kind: CommentKind;
  readonly shape?: string;
  readonly at?: readonly [x: number, y: number];
  readonly task_id?: string;
}

export interface Reply {
  readonly id: string;
  readonly text: string;
  readonly author: string;
  readonly created_at: string;
}

export interface Comment {
  readonly id: string;
  readonly text: string;
  readonly kind: CommentKind;
  readonly shape: string | null;
  readonly at: readonly [x: number, y: number] | null;
  readonly author: string;
  readonly state: "open" | "resolved";
  readonly created_at: string;
  readonly replies: readonly Reply[];
}

export interface Comments {
  readonly comments: readonly Comment[];
}
