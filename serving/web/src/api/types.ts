/** Short names for the shapes that OpenAPI publishes. `npm run types` writes schema.d.ts. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Me = Schemas["Me"];
export type Role = Me["role"];
export type Project = Schemas["ProjectOut"];
export type Label = Schemas["LabelOut"];
export type Summary = Schemas["Summary"];
export type Recipe = Schemas["RecipeOut"];
export type Geometry = Schemas["Geometry"];
export type Attribute = Schemas["AttributeDocument"];
export type LinkType = Schemas["LinkTypeDocument"];
export type Task = Schemas["TaskOut"];
export type Stage = Task["stage"];
export type Frame = Schemas["TaskFrameOut"];
export type Lease = Schemas["LeaseOut"];
export type PersonAnswer = Schemas["AnswerOut"];
export type Issue = Schemas["IssueOut"];
export type Checked = Schemas["CheckOut"];
export type DraftBody = Schemas["DraftIn"];
export type DraftSaved = Schemas["DraftSavedOut"];
export type Heartbeat = Schemas["HeartbeatOut"];
export type Detection = Schemas["DetectionOut"];
export type SubmitBody = Schemas["SubmitIn"];
export type ShapeBody = Schemas["ShapeIO"];
/** One of those that an answer goes back with. */
export interface ReturnedIssue {
  readonly message: string;
  /** Ids of the shapes concerned. */
  readonly shapes: readonly string[];
}
export type AcceptBody = Schemas["AcceptIn"];
export type ReturnBody = Omit<Schemas["ReturnIn"], "issues"> & { readonly issues: readonly ReturnedIssue[] };
export type SkipBody = Schemas["SkipIn"];
export type Submission = Schemas["SubmissionOut"];
export type Golden = Schemas["FeedbackOut"];
export type CustomFunction = Schemas["FunctionOut"];
export type Functions = Schemas["FunctionsOut"];
export type ActionBody = Schemas["ActionIn"];
export type ActionResult = Schemas["ActionOut"];
export type Comment = Omit<Schemas["CommentOut"], "at"> & { readonly at: readonly [x: number, y: number] | null };
export type CommentBody = Omit<Schemas["CommentIn"], "at"> & { readonly at?: readonly [x: number, y: number] };
export type CommentKind = Comment["kind"];
export interface Comments {
  readonly comments: readonly Comment[];
}
export type ReviewEventPage = Schemas["EventPage"];
export type ProjectEvent = Schemas["EventOut"];
export type Cycle = Schemas["CycleOut"];
export type CyclePage = Schemas["CyclePage"];
export type CycleBody = Schemas["CycleIn"];
export type Model = Schemas["ModelOut"];
export type Models = Schemas["ModelsOut"];
export type Promotion = Schemas["PromotionOut"];
export type Problem = Schemas["Problem"];
export type Item = Schemas["ItemDetailOut"];
export type MapStatus = Schemas["MapOut"];
export type Selection = Schemas["SelectionOut"];
export type SelectionBody = Schemas["SelectionIn"];
export type DriftPage = Schemas["DriftPage"];
export type DriftReport = Schemas["DriftReportOut"];
export type DriftStatus = Schemas["DriftStatusOut"];
export type DriftTest = Schemas["DriftTestOut"];
export type Webhook = Schemas["WebhookOut"];
export type Webhooks = Schemas["WebhooksOut"];
export type Delivery = Schemas["DeliveryOut"];
export type DeliveryPage = Schemas["DeliveryPage"];
export type Replayed = Schemas["ReplayedOut"];
