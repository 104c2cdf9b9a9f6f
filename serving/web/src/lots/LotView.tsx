/** One lot: its numbers, what its plan can tell, its items; accepting and re-opening it by hand. */
import { useState } from "react";
import type { LotDetail } from "../api/types";
import { Back } from "../app/Back";
import { Card, Tile } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { closing } from "../app/act";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { ago, count, percent, share } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { CurveCard } from "./CurveCard";
import { DecideDialog } from "./DecideDialog";
import { LotItems } from "./LotItems";
import { decide, lot as fetchLot } from "./calls";
import { TONES, judgedSize, limitsOf, originOf, planOf, wilson } from "./lots";

const REFRESH_MS = 5_000;

export function LotView({ api, project, notify, onPlace, id }: ViewProps & { readonly id: string }) {
  const asked = useAsked(() => fetchLot(api, project.id, id), id, REFRESH_MS);
  const [deciding, setDeciding] = useState<"accept" | "reopen" | null>(null);
  const run = (how: "accept" | "reopen", lot: LotDetail, reason: string) => {
    const [title, detail] =
      how === "accept"
        ? ["Accepted", "Its answers count from now on."]
        : ["Re-opened", "People get each answer that nobody has looked at."];
    const decided = decide(api, project.id, lot, how, reason);
    return closing(notify, asked.refresh, () => setDeciding(null))(decided, title, detail);
  };
  return (
    <>
      <Back to="All lots" testid="all-lots" onBack={() => onPlace(null)} />
      <Fetched asked={asked} what="the lot">
        {(lot) => (
          <>
            <Numbers lot={lot} onDecide={setDeciding} />
            <CurveCard api={api} project={project.id} lot={lot} size={judgedSize(lot)} />
            <LotItems api={api} project={project.id} items={lot.tasks} />
            {deciding && (
              <DecideDialog
                how={deciding}
                lot={lot}
                onClose={() => setDeciding(null)}
                onDecide={(reason) => run(deciding, lot, reason)}
              />
            )}
          </>
        )}
      </Fetched>
    </>
  );
}

interface NumbersProps {
  readonly lot: LotDetail;
  readonly onDecide: (how: "accept" | "reopen") => void;
}

function Numbers({ lot, onDecide }: NumbersProps) {
  const now = useNow(10_000);
  const { state, items, inspected, defects } = lot;
  const { low, high } = wilson(defects, inspected);
  return (
    <Card
      title="Lot"
      testid="lot"
      aside={
        <>
          <code>{lot.id}</code>
          <span className={`badge ${TONES[state]}`} data-testid="lot-state">
            {state}
          </span>
          <span className="grow" />
          <button data-testid="reopen-lot" disabled={state === "rejected"} onClick={() => onDecide("reopen")}>
            Re-open
          </button>
          <button
            className="primary"
            data-testid="accept-lot"
            disabled={state === "accepted"}
            onClick={() => onDecide("accept")}
          >
            Accept
          </button>
        </>
      }
    >
      <p>
        {planOf(lot.rules)}. <span className="muted">{originOf(lot)}</span>
      </p>
      {lot.reason && (
        <p className="callout" data-testid="lot-reason">
          {lot.decided_at
            ? `${state === "accepted" ? "Accepted" : "Rejected"} by ${lot.actor}, ${ago(lot.decided_at, now)}: `
            : ""}
          {lot.reason}
        </p>
      )}
      <div className="tiles">
        <Tile
          name="Items"
          value={count(items)}
          detail={lot.closed_at ? `closed ${ago(lot.closed_at, now)}` : lot.upload ? "so far" : `of ${count(lot.rules.size)} when full`}
        />
        <Tile
          name="Answered"
          value={count(items - lot.unanswered - lot.void)}
          detail={`${count(lot.unanswered)} to come · ${count(lot.void)} ended without`}
        />
        <Tile
          name="Answers that count"
          value={count(lot.settled)}
          detail={`${count(lot.waiting)} wait · ${count(lot.in_qa)} in QA`}
        />
        <Tile
          name="Looked at"
          value={count(inspected)}
          detail={inspected > 0 ? `${share(inspected, items)} of the lot` : limitsOf(lot)}
          testid="lot-inspected"
        />
        <Tile
          name="Defects"
          value={count(defects)}
          detail={
            inspected > 0
              ? `${share(defects, inspected)} of those looked at, ${percent(low, 1)} to ${percent(high, 1)} (95 %)`
              : "not known yet"
          }
          testid="lot-defects"
        />
      </div>
      {inspected > 0 && (
        <p className="muted small">
          The plan: {limitsOf(lot)}. The interval is Wilson’s, as for a sample whose size was fixed before;{" "}
          {counted(lot.tasks.filter((task) => task.defect !== null).length, "item has", "items have")} been looked at in
          all.
        </p>
      )}
    </Card>
  );
}
