/** What one cycle measured of candidate and champion, what the gate said of it, and where. For operators. */
import { useState } from "react";
import { describe } from "../api/problem";
import type { Cycle, Evaluation, Latencies, SliceFigures } from "../api/types";
import { Back } from "../app/Back";
import { Card, Tile } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { NOTHING, counted, exactly, fixed, shareOf, signed } from "../app/figures";
import { ago, count } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { Clauses } from "./Clauses";
import { StateBadge, Steps, Why } from "./CycleCard";
import { openReport } from "./cycles";
import { type Figure, type Verdict, figuresOf, verdictOf } from "./decision";
import {
  type Pair,
  directionOf,
  evaluated,
  measuresOf,
  milliseconds,
  mlflowInWords,
  pair,
  pairOf,
  sliceVerdict,
  slowdown,
} from "./evaluation";
import { useFollowed } from "./useFollowed";

const REFRESH_MS = 10_000;

export function CycleView({ api, project, notify, onPlace, id }: ViewProps & { readonly id: string }) {
  const asked = useAsked(() => evaluated(api, project.id, id), id, REFRESH_MS);
  const [told, setTold] = useState<Cycle | null>(null);
  const known = asked.value?.cycle ?? null;
  useFollowed(api, project.id, known !== null && known.finished_at === null ? id : null, (cycle) => {
    setTold(cycle);
    if (cycle.finished_at !== null) void asked.refresh();
  });
  const report = () =>
    void openReport(api, project.id, id).catch((error: unknown) => notify({ tone: "error", ...describe(error) }));
  return (
    <>
      <Back to="Overview" testid="back-to-overview" onBack={() => onPlace(null)} />
      <Fetched asked={asked} what="the cycle">
        {({ cycle: fetched, figures, missing, mlflow }) => {
          const cycle = newer(fetched, told);
          const verdict = verdictOf(cycle.decision);
          return (
            <>
              <Summary
                cycle={cycle}
                figures={figures}
                missing={missing}
                recorded={mlflowInWords(cycle, mlflow)}
                onReport={report}
              />
              {figures && (
                <>
                  <div className="columns">
                    <div className="column">
                      <Whole figures={figures} />
                      <Latency latency={figures.latency} />
                    </div>
                    <Gate verdict={verdict} />
                  </div>
                  <Labels figures={figures} />
                  {GROUPS.map((group) => (
                    <Slices key={group.testid} {...group} figures={figures} verdict={verdict} />
                  ))}
                </>
              )}
            </>
          );
        }}
      </Fetched>
    </>
  );
}

/** What was told last, by whichever way. */
const newer = (fetched: Cycle, told: Cycle | null): Cycle =>
  told !== null && Date.parse(told.updated_at) > Date.parse(fetched.updated_at) ? told : fetched;

interface SummaryProps {
  readonly cycle: Cycle;
  readonly figures: Evaluation | null;
  readonly missing: string;
  /** What MLflow knows of it. */
  readonly recorded: string;
  readonly onReport: () => void;
}

function Summary({ cycle, figures, missing, recorded, onReport }: SummaryProps) {
  const now = useNow(10_000);
  return (
    <Card
      title="Cycle"
      testid="cycle-figures"
      aside={
        <>
          <code>{cycle.id}</code>
          <StateBadge state={cycle.state} />
          <span className="grow" />
          {"candidate" in (cycle.evaluation ?? {}) && (
            <button data-testid="cycle-report" onClick={onReport}>
              Report
            </button>
          )}
        </>
      }
    >
      <p className="muted small">
        {cycle.reason} · by {cycle.actor} · {ago(cycle.created_at, now)}
      </p>
      {recorded && (
        <p className="muted small" data-testid="cycle-mlflow">
          MLflow: {recorded}
        </p>
      )}
      {cycle.finished_at === null && <Steps cycle={cycle} />}
      {cycle.error && <Why cycle={cycle} />}
      {figures === null && !cycle.error && <p className="muted">{missing}</p>}
      {figures && <Tiles cycle={cycle} figures={figures} />}
    </Card>
  );
}

function Tiles({ cycle, figures }: { readonly cycle: Cycle; readonly figures: Evaluation }) {
  const { latency } = figures;
  const ratio = slowdown(latency);
  return (
    <div className="tiles">
      <Tile
        name="Images"
        value={count(figures.images)}
        detail={`held out (${figures.split})${figures.beside > 0 ? ` · ${count(figures.beside)} more for slices` : ""}`}
      />
      {figuresOf(cycle).map((figure) => (
        <Tile
          key={figure.name}
          name={figure.name}
          value={fixed(figure.candidate, 3)}
          detail={changeInWords(figure)}
          testid={`tile-${figure.name}`}
        />
      ))}
      <Tile
        name="Calibration error (D-ECE)"
        value={fixed(figures.calibration_after, 3)}
        detail={figures.calibration_before === null ? "no champion" : `${fixed(figures.calibration_before, 3)} before`}
      />
      <Tile
        name="An image takes"
        value={latency.after ? milliseconds(latency.after.median) : NOTHING}
        detail={ratio === null ? "nothing to compare with" : `${ratio.toFixed(2)} times the champion’s time`}
        testid="tile-latency"
      />
    </div>
  );
}

function changeInWords({ champion, delta, interval }: Figure): string {
  if (champion === null || delta === null) return "no champion to compare with";
  const range = interval ? ` (${signed(interval[0], 3)} to ${signed(interval[1], 3)})` : "";
  return `${fixed(champion, 3)} before, ${signed(delta, 3)}${range}`;
}

// --- cells ----------------------------------------------------------------------------------------------

/** Champion, candidate, change. */
function Cells({ of }: { readonly of: Pair }) {
  return (
    <>
      <td>{fixed(of.champion, 3)}</td>
      <td>{fixed(of.candidate, 3)}</td>
      <td className={directionOf(of.change)}>{signed(of.change, 3)}</td>
    </>
  );
}

function Head({ first, more }: { readonly first: string; readonly more: readonly string[] }) {
  return (
    <thead>
      <tr>
        <th scope="col" rowSpan={2}>
          {first}
        </th>
        {more.slice(0, 1).map((name) => (
          <th key={name} scope="col" rowSpan={2}>
            {name}
          </th>
        ))}
        {["mAP 50–95", "mAP 50"].map((name) => (
          <th key={name} scope="colgroup" colSpan={3} className="group">
            {name}
          </th>
        ))}
        {more.slice(1).map((name) => (
          <th key={name} scope="col" rowSpan={2} className={name === VERDICT ? "text" : undefined}>
            {name}
          </th>
        ))}
      </tr>
      <tr>
        {["ap", "ap50"].flatMap((measure) =>
          ["Champion", "Candidate", "Change"].map((name) => (
            <th key={measure + name} scope="col" className={more.length > 1 ? "inner" : undefined}>
              {name}
            </th>
          )),
        )}
      </tr>
    </thead>
  );
}

const VERDICT = "The gate";

// --- cards ----------------------------------------------------------------------------------------------

function Whole({ figures }: { readonly figures: Evaluation }) {
  return (
    <Card title="All images" testid="whole-figures" aside={<Boxes of={figures.whole.after.boxes} />}>
      <div className="scroll">
        <table className="figures">
          <thead>
            <tr>
              <th scope="col">COCO</th>
              <th scope="col">Champion</th>
              <th scope="col">Candidate</th>
              <th scope="col">Change</th>
            </tr>
          </thead>
          <tbody>
            {measuresOf(figures.whole).map(({ name, pair: of }) => (
              <tr key={name} data-testid={`measure-${name}`}>
                <th scope="row">{name}</th>
                <Cells of={of} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="muted small">Small: below 32 × 32 pixels; medium: below 96 × 96; large: above.</p>
    </Card>
  );
}

function Boxes({ of }: { readonly of: number }) {
  return <span className="muted small">{counted(of, "true box", "true boxes")}</span>;
}

function Latency({ latency }: { readonly latency: Latencies }) {
  const rows = [
    ["Champion", latency.before],
    ["Candidate", latency.after],
  ] as const;
  return (
    <Card title="Time of an image" testid="latency">
      {latency.unmeasured && <p className="callout">Not measured: {latency.unmeasured}</p>}
      {(latency.before || latency.after) && (
        <div className="scroll">
          <table className="figures">
            <thead>
              <tr>
                <th scope="col">On {counted(latency.images, "image")}, by turns</th>
                <th scope="col">Runtime that serves</th>
                <th scope="col">Median</th>
                <th scope="col">90 % within</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(
                ([name, one]) =>
                  one && (
                    <tr key={name} data-testid={`latency-${name}`}>
                      <th scope="row">{name}</th>
                      <td>{one.runtime}</td>
                      <td>{milliseconds(one.median)}</td>
                      <td>{milliseconds(one.p90)}</td>
                    </tr>
                  ),
              )}
            </tbody>
          </table>
        </div>
      )}
      {!latency.unmeasured && !latency.before && !latency.after && <p className="muted">Nobody wanted it measured.</p>}
    </Card>
  );
}

function Gate({ verdict }: { readonly verdict: Verdict | null }) {
  return (
    <Card
      title="The gate"
      testid="gate"
      aside={
        verdict && (
          <>
            <span className={`badge ${verdict.promoted ? "good" : "warn"}`} data-testid="gate-verdict">
              {verdict.promoted ? "passed" : "refused"}
            </span>
            <span className="muted small">
              {verdict.mode && `must be ${verdict.mode}`}
              {verdict.images !== null && ` · ${counted(verdict.images, "image")}`}
            </span>
          </>
        )
      }
    >
      {verdict ? <Clauses clauses={verdict.clauses} numbers /> : <p className="muted">It has not decided yet.</p>}
    </Card>
  );
}

function Labels({ figures }: { readonly figures: Evaluation }) {
  return (
    <Card title="By label" testid="label-figures">
      <div className="scroll">
        <table className="figures">
          <Head first="Label" more={["Boxes"]} />
          <tbody>
            {Object.entries(figures.classes).map(([label, compared]) => (
              <tr key={label} data-testid={`label-${label}`}>
                <th scope="row">{label}</th>
                <td>{count(compared.after.boxes)}</td>
                <Cells of={pairOf(compared, "ap")} />
                <Cells of={pairOf(compared, "ap50")} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

interface Group {
  readonly title: string;
  readonly testid: string;
  readonly kinds: readonly SliceFigures["kind"][];
  /** Said where there is none. */
  readonly none: string;
}

const GROUPS: readonly Group[] = [
  {
    title: "Views, audits, past failures",
    testid: "guarded-slices",
    kinds: ["view", "audits", "past failures"],
    none:
      "No image of an audit or a past failure was held out, and no saved view is a slice. " +
      "Make one with askance cycle slices --set VIEW.",
  },
  { title: "By source", testid: "source-slices", kinds: ["source"], none: "No held-out image says its source." },
  { title: "By time", testid: "time-slices", kinds: ["time"], none: "There are too few images to part them by time." },
];

interface SlicesProps extends Group {
  readonly figures: Evaluation;
  readonly verdict: Verdict | null;
}

function Slices({ title, testid, kinds, none, figures, verdict }: SlicesProps) {
  const slices = figures.slices.filter((one) => kinds.includes(one.kind));
  const left = kinds.reduce((sum, kind) => sum + (figures.left_out[kind] ?? 0), 0);
  const judged = !kinds.includes("time");
  return (
    <Card title={title} testid={testid}>
      {slices.length === 0 ? (
        <p className="muted">{none}</p>
      ) : (
        <div className="scroll">
          <table className="figures">
            <Head first="Slice" more={["Images", "To correct", ...(judged ? ["Margin", VERDICT] : [])]} />
            <tbody>
              {slices.map((slice) => (
                <SliceRow key={`${slice.kind} ${slice.name}`} slice={slice} verdict={verdict} judged={judged} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {left > 0 && <p className="muted small">{counted(left, "smaller one is", "smaller ones are")} not shown.</p>}
    </Card>
  );
}

interface RowProps {
  readonly slice: SliceFigures;
  readonly verdict: Verdict | null;
  readonly judged: boolean;
}

function SliceRow({ slice, verdict, judged }: RowProps) {
  const said = sliceVerdict(slice, verdict?.clauses ?? []);
  const failed = pair(slice.failed_before, slice.failed_after);
  const worst = Object.entries(slice.errors).sort(([, one], [, other]) => other - one)[0];
  return (
    <tr data-testid={`slice-${slice.kind}-${slice.name}`}>
      <th scope="row">
        {slice.kind === "view" && <span className="muted">view </span>}
        {slice.name}
        {worst && worst[1] > 0 && (
          <span className="muted small below">
            costs most: {worst[0]}, {exactly(worst[1])} of mAP 50
          </span>
        )}
      </th>
      <td>{count(slice.images)}</td>
      <Cells of={pairOf(slice.figures, "ap")} />
      <Cells of={pairOf(slice.figures, "ap50")} />
      <td>
        {failed.champion !== null && `${shareOf(failed.champion)} → `}
        {shareOf(failed.candidate)}
      </td>
      {judged && (
        <>
          <td>{fixed(said.margin)}</td>
          <td className="text wraps">
            <span className={`badge ${said.tone}`} title={said.detail} data-testid="slice-verdict">
              {said.words}
            </span>{" "}
            {said.tone === "" && <span className="muted small">{slice.note || said.detail}</span>}
          </td>
        </>
      )}
    </tr>
  );
}
