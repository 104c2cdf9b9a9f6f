import { useState } from "react";
import { describe } from "../api/problem";
import type { AmbiguousItem } from "../api/types";
import { Confirm } from "../app/Asking";
import { Card } from "../app/Card";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted, duration } from "../app/figures";
import { count, short } from "../app/format";
import { Thumbnail } from "../map/Thumbnail";
import { type Items, useItems } from "../map/items";
import type { SpanProps } from "./WorkPage";
import { ambiguous, requeue } from "./calls";
import { requeuedInWords, whyAmbiguous } from "./work";
import "./work.css";

const REFRESH_MS = 60_000;
const SHOWN = 20;
const MOST_REQUEUED = 200; // that the API takes at once
const ABOVES = [0.1, 0.3, 0.5, 0.7, 0.9];

export function AmbiguousCard({ api, project, notify, since, span }: SpanProps) {
  const [above, setAbove] = useState(0.5);
  const [asking, setAsking] = useState(false);
  const images = useItems(api, project.id);
  const about = `${since}/${above}`;
  const asked = useAsked(() => ambiguous(api, project.id, since, above, SHOWN), about, REFRESH_MS);
  const found = asked.value?.found ?? 0;
  const most = Math.min(found, MOST_REQUEUED);
  const experts = project.policy.queue.expert_group;

  const send = async () => {
    setAsking(false);
    try {
      notify({ tone: "info", hint: "", ...requeuedInWords(await requeue(api, project.id, { above, most, since })) });
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
    await asked.refresh();
  };

  return (
    <Card
      title="Ambiguous items"
      testid="ambiguous"
      aside={
        <>
          <span className="muted small">{counted(found, "item")}</span>
          <span className="grow" />
          <select aria-label="How ambiguous" value={above} onChange={(event) => setAbove(Number(event.target.value))}>
            {ABOVES.map((one) => (
              <option key={one} value={one}>
                above {one}
              </option>
            ))}
          </select>
          <button
            data-testid="requeue"
            disabled={found === 0 || asked.old || experts === ""}
            title={experts === "" ? "Name queue.expert_group in the policy first" : ""}
            onClick={() => setAsking(true)}
          >
            Ask experts
          </button>
        </>
      }
    >
      <p className="muted">People answered them differently, or took long. 0: like others; 1: most ambiguous.</p>
      <Fetched asked={asked} what="the items">
        {({ items }) =>
          items.length === 0 ? (
            <p className="muted">
              None above {above} in {span}.
            </p>
          ) : (
            <>
              <ul className="lines">
                {items.map((item) => (
                  <Row key={item.item_digest} item={item} images={images} />
                ))}
              </ul>
              {found > items.length && (
                <p className="muted small">The {count(items.length)} most ambiguous; the command line lists all.</p>
              )}
            </>
          )
        }
      </Fetched>
      {experts === "" && (
        <p className="muted small">
          Experts can be asked again once <code>queue.expert_group</code> in the policy names a group.
        </p>
      )}
      {asking && (
        <Dialog
          title="Ask experts"
          onClose={() => setAsking(false)}
          onSubmit={() => void send()}
          testid="requeue-dialog"
        >
          <p>
            The group “{experts}” gets {counted(most, "item", "most ambiguous items")} again. What was answered stays
            until they answer.
          </p>
          <Confirm name={`Ask for ${counted(most, "item")}`} disabled={false} onClose={() => setAsking(false)} />
        </Dialog>
      )}
    </Card>
  );
}

function Row({ item, images }: { readonly item: AmbiguousItem; readonly images: Items }) {
  const { item_digest, ambiguity, seconds, answers } = item;
  return (
    <li className="pictured" data-testid="ambiguous-item">
      <span className="picture">
        <Thumbnail items={images} digest={item_digest} alt={`Item ${short(item_digest)}`} />
      </span>
      <div className="grow">
        <div className="row">
          <code title={item_digest}>{short(item_digest)}</code>
          <span className="badge warn">{ambiguity.toFixed(2)}</span>
        </div>
        <p className="small">{whyAmbiguous(item)}</p>
        <p className="muted small">
          {counted(answers, "answer")} · {duration(seconds)} each (median)
        </p>
      </div>
    </li>
  );
}
