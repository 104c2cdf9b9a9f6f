/** Short names for the shapes that OpenAPI publishes. `npm run types` writes schema.d.ts. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Me = Schemas["Me"];
export type Role = Me["role"];
export type Project = Schemas["ProjectOut"];
export type Label = Schemas["LabelOut"];
export type Summary = Schemas["Summary"];
export type Task = Schemas["TaskOut"];
export type Lease = Schemas["LeaseOut"];
export type Heartbeat = Schemas["HeartbeatOut"];
export type Detection = Schemas["DetectionOut"];
export type SubmitBody = Schemas["SubmitIn"];
export type ShapeBody = SubmitBody["shapes"][number];
export type SkipBody = Schemas["SkipIn"];
export type Submission = Schemas["SubmissionOut"];
export type ReviewEventPage = Schemas["EventPage"];
export type ProjectEvent = Schemas["EventOut"];
export type Cycle = Schemas["CycleOut"];
export type CyclePage = Schemas["CyclePage"];
export type CycleBody = Schemas["CycleIn"];
export type Model = Schemas["ModelOut"];
export type Models = Schemas["ModelsOut"];
export type Promotion = Schemas["PromotionOut"];
export type Problem = Schemas["Problem"];
