/** The views beside the review. Each is loaded when it is first looked at: reviewers load none of them. */
import { type ComponentType, type LazyExoticComponent, lazy } from "react";
import type { Tab } from "../session/route";
import type { ViewProps } from "./view";

type View = ComponentType<ViewProps>;

// After an update of the service the old page's parts are gone.
const part = (load: () => Promise<{ default: View }>): LazyExoticComponent<View> =>
  lazy(() => load().catch(() => ({ default: NotLoaded })));

export const VIEWS: Record<Exclude<Tab, "review">, LazyExoticComponent<View>> = {
  overview: part(() => import("../overview/OverviewPage")),
  map: part(() => import("../map/MapPage")),
  recipe: part(() => import("../recipe/RecipePage")),
  policy: part(() => import("../policy/PolicyPage")),
  items: part(() => import("../items/ItemsPage")),
  selections: part(() => import("../selections/SelectionsPage")),
  clips: part(() => import("../clips/ClipsPage")),
  snapshots: part(() => import("../snapshots/SnapshotsPage")),
  quality: part(() => import("../quality/QualityPage")),
  lots: part(() => import("../lots/LotsPage")),
  reviewers: part(() => import("../reviewers/ReviewersPage")),
  queue: part(() => import("../queue/QueuePage")),
  work: part(() => import("../work/WorkPage")),
  functions: part(() => import("../functions/FunctionsPage")),
  webhooks: part(() => import("../webhooks/WebhooksPage")),
  comments: part(() => import("../comments/CommentsPage")),
};

function NotLoaded() {
  return (
    <div className="calm" role="alert">
      <h2>This view could not be loaded</h2>
      <p className="muted">
        The service was updated since, or cannot be reached. Reload the page; drafts in this browser are kept.
      </p>
      <button className="primary" onClick={() => window.location.reload()}>
        Reload
      </button>
    </div>
  );
}
