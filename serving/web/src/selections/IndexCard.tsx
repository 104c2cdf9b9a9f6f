/** The search index, by which what looks alike is found. */
import { useState } from "react";
import { describe } from "../api/problem";
import type { SearchIndex } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { count, moment, percent, short } from "../app/format";
import type { ViewProps } from "../app/view";
import { readIndex, searchIndex } from "./calls";
import { PHASES, isUnderWay, searches } from "./phases";

const [OFTEN_MS, SELDOM_MS] = [2_000, 30_000];

export function IndexCard({ api, project, notify }: Pick<ViewProps, "api" | "project" | "notify">) {
  const [soon, setSoon] = useState(false);
  const asked = useAsked(
    async () => {
      const index = await searchIndex(api, project.id);
      setSoon(isUnderWay(index));
      return index;
    },
    project.id,
    soon ? OFTEN_MS : SELDOM_MS,
  );
  const read = async () => {
    try {
      await readIndex(api, project.id);
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
    await asked.refresh();
  };
  const index = asked.value;
  return (
    <Card
      title="Search index"
      testid="index"
      aside={
        index && (
          <>
            <span className={`badge ${PHASES[index.phase].tone}`} data-testid="index-phase">
              {PHASES[index.phase].words}
            </span>
            <span className="grow" />
            {(index.phase === "unread" || (index.phase === "ready" && index.waiting > 0)) && (
              <button data-testid="read-index" onClick={() => void read()}>
                {index.phase === "unread" ? "Read it now" : "Catch up now"}
              </button>
            )}
          </>
        )
      }
    >
      <Fetched asked={asked} what="the state of the index">
        {(known) => <State index={known} />}
      </Fetched>
    </Card>
  );
}

function State({ index }: { readonly index: SearchIndex }) {
  const { model_id: model, phase, progress, embeddings, waiting, lists, kept, kept_at: at } = index;
  return (
    <>
      <p className="muted">{PHASES[phase].meaning}</p>
      {progress !== null && (
        <div className="row">
          <progress className="how-far" value={progress} aria-label={PHASES[phase].words} data-testid="index-progress" />
          <span className="muted small">{percent(progress)}</span>
        </div>
      )}
      <dl className="facts-row" data-testid="index-facts">
        <div>
          <dt>Of</dt>
          <dd>
            <code>{short(model)}</code>
          </dd>
        </div>
        {phase !== "unread" && (
          <div>
            <dt>Images in it</dt>
            <dd>
              {count(embeddings)}
              {phase === "reading" && ` of ${count(embeddings + waiting)}`}
            </dd>
          </div>
        )}
        {phase !== "reading" && (
          <div>
            <dt>Not in it yet</dt>
            <dd>{waiting === 0 ? "none" : `${count(waiting)}: the next search adds them`}</dd>
          </div>
        )}
        {phase !== "unread" && (
          <div>
            <dt>A search looks at</dt>
            <dd data-testid="index-searches">{searches(lists)}</dd>
          </div>
        )}
        <div>
          <dt>Kept</dt>
          <dd>{at === null ? "no file yet" : `${count(kept)}, ${moment(at)}`}</dd>
        </div>
      </dl>
    </>
  );
}
