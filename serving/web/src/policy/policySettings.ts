/** The settings of a policy that operators change most. All others stand in the document. Ranges are those of
 *  loop/domain, which refuses what is beyond. */
import type { Policy } from "../api/types";
import type { PlaceIn, Section } from "./settings";

const [HOUR, DAY] = [3600, 86_400];
const LONGEST_S = 10 * 366 * DAY;
const MOST_RECHECKED = 1_000;

// prettier-ignore
export const POLICY_SECTIONS: readonly Section<PlaceIn<Policy>>[] = [
  {
    title: "What goes to people",
    settings: [
      {
        place: "threshold", name: "Risk threshold", kind: "share", min: 0, max: 1,
        help: "A prediction of this risk or more goes to a person. Where there is a promise, its thresholds route instead.",
      },
      {
        place: "audit_rate", name: "Audit rate", kind: "share", min: 0, max: 1,
        help: "So many of all predictions go to a person at random, whatever their risk: quality is estimated from them.",
      },
      {
        place: "score_threshold", name: "Score threshold", kind: "share", min: 0, max: 1,
        help: "Detections with a lower score are neither answered nor shown.",
      },
      {
        place: "failure_iou", name: "Least overlap (IoU)", kind: "share", min: 0, max: 1,
        help: "A detection counts as right from this overlap with the true box on.",
      },
    ],
  },
  {
    title: "Who works on an item",
    settings: [
      {
        place: "queue.people.annotate", name: "People an item", kind: "count", unit: "people", min: 1, max: 20, absent: 1,
        help: "So many different people answer each item; their answers are merged, and disputes go to one more.",
      },
      {
        place: "queue.people.audit", name: "People an audit", kind: "count", unit: "people", min: 1, max: 20, absent: 1,
        help: "The same for audits. Give both the same, so that nothing tells which tasks are audits.",
      },
      {
        place: "queue.people_share", name: "Share with several people", kind: "share", min: 0, max: 1,
        help: "Of the items that several people may answer, so many do get them, drawn at random.",
      },
      {
        place: "lease_seconds", name: "Lease", kind: "span", unit: "s", per: 1, min: 5, max: DAY,
        help: "So long somebody keeps a task after their browser was last heard of; then others get it.",
      },
      {
        place: "queue.max_leases", name: "Tasks held at once", kind: "count", unit: "tasks a person", min: 1, max: 1000,
        empty: "no limit", help: "A person's own limit, at Reviewers, comes first.",
      },
      {
        place: "queue.max_tasks_a_day", name: "Tasks a day", kind: "count", unit: "tasks a person", min: 1, max: 100_000,
        empty: "no limit", help: "Answered or skipped, by the day of UTC.",
      },
      {
        place: "queue.blind_share", name: "Blind share", kind: "share", min: 0, max: 1,
        help: "Of tasks, at random, that hide what the model predicts: it shows whether people correct less where it is shown.",
      },
      {
        place: "workflow.proposals", name: "Predictions at review", kind: "choice",
        options: { shown: "shown, to be corrected", hidden: "hidden, all is drawn anew" },
        help: "Whether people see what the model says before they answer.",
      },
    ],
  },
  {
    title: "Quality assurance of answers",
    settings: [
      {
        place: "workflow.qa", name: "Second look", kind: "choice",
        options: { off: "off", all: "at all answers", share: "at a share, drawn at random", lots: "by lots" },
        help: "Which answers another person looks at before they count. Lots: a sample of each; all of a lot that it speaks against.",
      },
      {
        place: "workflow.share", name: "Share looked at", kind: "share", min: 0, max: 1, where: ["workflow.qa", "share"],
        help: "Of the answers, drawn at random.",
      },
      {
        place: "workflow.lots.size", name: "Size of a lot", kind: "count", unit: "items", min: 1, max: 10_000,
        where: ["workflow.qa", "lots"], help: "A lot of so many is full and judged. Open lots keep the rules that they began with.",
      },
      {
        place: "workflow.lots.close_after_seconds", name: "Close a lot after", kind: "span", unit: "days", per: DAY, min: 1,
        max: LONGEST_S, empty: "only when full", where: ["workflow.qa", "lots"], help: "So long after its opening, full or not.",
      },
      {
        place: "workflow.lots.plan", name: "Plan", kind: "choice",
        options: { share: "a fixed share", single: "single sampling", sequential: "sequential sampling" },
        where: ["workflow.qa", "lots"], help: "How a lot is judged; AQL and LTPD of the sampling plans stand in the document.",
      },
      {
        place: "workflow.lots.share", name: "Sample of a lot", kind: "share", min: 0, max: 1, where: ["workflow.qa", "lots"],
        help: "Of a lot's items that are looked at, by the plan of a fixed share.",
      },
      {
        place: "workflow.lots.threshold", name: "Defects allowed", kind: "share", min: 0, max: 1,
        where: ["workflow.qa", "lots"], help: "With more of them in the sample, all of the lot is looked at.",
      },
      {
        place: "workflow.max_returns", name: "Returns", kind: "count", unit: "times", min: 0, max: 20,
        where: ["workflow.qa", "all", "share", "lots"],
        help: "So often an answer goes back to its author; then the second look accepts or corrects it.",
      },
      {
        place: "workflow.rework_patience_seconds", name: "Time for rework", kind: "span", unit: "h", per: HOUR, min: 1,
        max: LONGEST_S, where: ["workflow.qa", "all", "share", "lots"],
        help: "So long what was returned is its author's alone; then anybody's.",
      },
      {
        place: "quality.labels.recheck", name: "Doubtful items looked at again", kind: "count", unit: "items a cycle",
        min: 0, max: MOST_RECHECKED,
        help: "Before each training people look again at so many items whose truth a model doubts most; that training does without them.",
      },
    ],
  },
  {
    title: "Who is trusted",
    settings: [
      {
        place: "quality.golden.rate", name: "Golden rate", kind: "share", min: 0, max: 1,
        help: "So often what a person is handed is a golden item, whose answer is known. It takes golden items (at Reviewers).",
      },
      {
        place: "quality.golden.again_days", name: "Same golden item again", kind: "span", unit: "days", per: 1, min: 1, max: 3650,
        help: "Nobody gets the same one before.",
      },
      {
        place: "quality.golden.qualification", name: "Qualification", kind: "switch",
        help: "New people get golden items alone until these show that they are good enough.",
      },
      {
        place: "quality.golden.training", name: "Training", kind: "switch",
        help: "People see the trusted answer after theirs.",
      },
      {
        place: "quality.standing.bar", name: "Bar", kind: "share", min: 0.001, max: 0.999,
        help: "Precision and recall that people must show at golden items; who is surely below is warned, then paused.",
      },
      {
        place: "quality.consensus.min_certainty", name: "Certainty of a merge", kind: "share", min: 0.5, max: 0.999,
        help: "Several answers become one where they are so sure of each shape; else somebody decides.",
      },
    ],
  },
  {
    title: "Promises and waiting callers",
    settings: [
      {
        place: "guarantee.when_short", name: "Too few people", kind: "choice",
        options: { hold: "hold: answers wait", best_effort: "best effort: the riskiest are reviewed" },
        help: "What happens where promises need more work than people can do. Promises themselves are made at Quality.",
      },
      {
        place: "guarantee.on_alarm", name: "A promise is broken", kind: "choice",
        options: { review: "people look at everything", tell: "tell, and route on" },
        help: "Until it is kept again, or an operator accepts the alarm.",
      },
      {
        place: "guarantee.hours_a_day", name: "Reviewers' time", kind: "span", unit: "h a day", per: 1, min: 0, max: 100_000,
        empty: "as of late", help: "Of all reviewers together: what promises may reckon with.",
      },
      {
        place: "guarantee.patience_days", name: "Patience", kind: "span", unit: "days", per: 1, min: 0.01, max: 364,
        help: "What nobody has answered by then counts as a failure. Below the window of guarantee.window_days.",
      },
      {
        place: "gate.fallback", name: "Nobody answers in time", kind: "choice",
        options: { flag: "flag: the prediction, marked provisional", withhold: "withhold: no detections", error: "error" },
        help: "What a caller gets who waits for a person and whose time is over.",
      },
      {
        place: "gate.max_wait_seconds", name: "Longest wait", kind: "span", unit: "s", per: 1, min: 1, max: HOUR,
        help: "So long a caller may wait for a person at most.",
      },
    ],
  },
  {
    title: "What is kept",
    settings: [
      {
        place: "retain", name: "Images of accepted predictions", kind: "choice",
        options: { all: "all", sampled: "a sample", none: "none" },
        help: "Those that people look at keep theirs always.",
      },
      {
        place: "retain_rate", name: "Sample kept", kind: "share", min: 0, max: 1, where: ["retain", "sampled"],
        help: "Of accepted predictions, drawn at random.",
      },
      {
        place: "durability", name: "Accepted predictions are durable", kind: "choice",
        options: { "before-answer": "before they are answered", soon: "milliseconds after" },
        help: "“Soon” is faster; a crash in between loses predictions that were answered.",
      },
    ],
  },
];
