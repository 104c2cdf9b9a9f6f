/** One person: standing and why, figures by label, what is taken for what, groups and limits. */
import { useState } from "react";
import type { PersonBody, ReviewerBody, ReviewerDetail } from "../api/types";
import { Back } from "../app/Back";
import { Card, Tile } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { RateBar } from "../app/RateBar";
import { acting, closing } from "../app/act";
import { useAsked } from "../app/asked";
import { fixed } from "../app/figures";
import { ago, count, percent, short } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { fragmentOf } from "../session/route";
import { PersonCard } from "./PersonCard";
import { StandingDialog } from "./StandingDialog";
import { changePerson, changeReviewer, people, reviewer } from "./calls";
import { JUDGING_MEANINGS, MEANINGS, TONES, judges, mistakesOf, neededOf, sharedOf, whyOf } from "./reviewers";

const REFRESH_MS = 10_000;

export function ReviewerView({ api, project, notify, onPlace, id }: ViewProps & { readonly id: string }) {
  const load = async () => {
    const [one, everybody] = await Promise.all([reviewer(api, project.id, id), people(api)]);
    return { one, person: everybody.find((person) => person.token_id === one.id) ?? null };
  };
  const asked = useAsked(load, id, REFRESH_MS);
  const [changing, setChanging] = useState(false);
  const act = acting(notify, asked.refresh);
  const change = (one: ReviewerDetail, body: ReviewerBody) => {
    const title = body.standing ? `${one.name} is ${body.standing}` : "Changed";
    const changed = changeReviewer(api, project.id, one.id, body);
    const means = body.standing ? MEANINGS[body.standing] : "";
    return closing(notify, asked.refresh, () => setChanging(false))(changed, title, means);
  };
  const describePerson = (body: PersonBody) =>
    act(changePerson(api, id, body), "Changed", "It holds from the next task on that is asked for.");
  const { bar } = project.policy.quality.standing;
  return (
    <>
      <Back to="All reviewers" testid="all-reviewers" onBack={() => onPlace(null)} />
      <Fetched asked={asked} what="the reviewer">
        {({ one, person }) => (
          <>
            <Standing one={one} bar={bar} onChange={() => setChanging(true)} />
            <div className="columns">
              <Labels one={one} bar={bar} />
              <div className="column">
                <Judging one={one} bar={bar} />
                <Mistakes one={one} />
                {one.shared > 0 && <Shared one={one} project={project.id} />}
                {person && <PersonCard key={person.token_id} person={person} onChange={describePerson} />}
              </div>
            </div>
            {changing && (
              <StandingDialog
                one={one}
                onClose={() => setChanging(false)}
                onChange={(body) => change(one, body)}
              />
            )}
          </>
        )}
      </Fetched>
    </>
  );
}

interface StandingProps {
  readonly one: ReviewerDetail;
  readonly bar: number;
  readonly onChange: () => void;
}

function Standing({ one, bar, onChange }: StandingProps) {
  const now = useNow(10_000);
  return (
    <Card
      title={one.name}
      testid="reviewer"
      aside={
        <>
          <span className={`badge ${TONES[one.standing]}`} data-testid="standing">
            {one.standing}
          </span>
          <span className="muted small">
            {MEANINGS[one.standing]} · {one.since ? `since ${ago(one.since, now)}` : "from the beginning"}
            {one.actor && ` by ${one.actor}`}
          </span>
          <span className="grow" />
          <button data-testid="change-standing" onClick={onChange}>
            Change
          </button>
        </>
      }
    >
      {whyOf(one) && (
        <p className="callout" data-testid="standing-why">
          {whyOf(one)}
        </p>
      )}
      {one.why && one.reasons.length > 0 && (
        <p className="muted">By golden items since: {one.reasons.map((reason) => reason.detail).join("; ")}.</p>
      )}
      <div className="tiles">
        <Tile
          name="Golden items that count"
          value={count(one.items)}
          detail={neededOf(one) || "for the present standing"}
        />
        <Tile
          name="Precision"
          value={one.precision?.value == null ? "–" : percent(one.precision.value)}
          detail={<RateBar rate={one.precision} bar={bar} interval />}
        />
        <Tile
          name="Recall"
          value={one.recall?.value == null ? "–" : percent(one.recall.value)}
          detail={<RateBar rate={one.recall} bar={bar} interval />}
        />
        <Tile name="Mean IoU" value={fixed(one.iou)} detail="of matched shapes" />
        <Tile
          name="Training"
          value={one.training ? "on" : "off"}
          detail={one.training ? "sees the trusted answer after each golden one" : "does not see trusted answers"}
        />
      </div>
    </Card>
  );
}

function Labels({ one, bar }: { readonly one: ReviewerDetail; readonly bar: number }) {
  const labels = Object.entries(one.labels);
  return (
    <Card title="By label" testid="reviewer-labels">
      {labels.length === 0 ? (
        <p className="muted">Nothing yet: no golden item was answered.</p>
      ) : (
        <table className="figures">
          <thead>
            <tr>
              <th scope="col">Label</th>
              <th scope="col" className="text">
                Precision (95 %)
              </th>
              <th scope="col" className="text">
                Recall (95 %)
              </th>
            </tr>
          </thead>
          <tbody>
            {labels.map(([label, { precision, recall }]) => (
              <tr key={label}>
                <th scope="row">
                  {label} {one.weak.includes(label) && <span className="badge bad">surely below the bar</span>}
                </th>
                <td className="text">
                  <RateBar rate={precision} bar={bar} />
                </td>
                <td className="text">
                  <RateBar rate={recall} bar={bar} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

/** How somebody judges the answers of others, by answers whose value is known. */
function Judging({ one, bar }: { readonly one: ReviewerDetail; readonly bar: number }) {
  const { judging } = one;
  return (
    <Card
      title="As judge of answers"
      testid="reviewer-judging"
      aside={
        <>
          <span className={`badge ${TONES[judging.standing]}`} data-testid="judging-standing">
            {judging.standing}
          </span>
          <span className="muted small">{JUDGING_MEANINGS[judging.standing]}</span>
        </>
      }
    >
      {!judges(one) ? (
        <p className="muted">Nothing yet: no answer to a golden item was judged.</p>
      ) : (
        <>
          {whyOf(judging) && <p className="callout">{whyOf(judging)}</p>}
          <div className="tiles">
            <Tile
              name="Verdicts that count"
              value={count(judging.items)}
              detail={neededOf(judging, "verdict") || "for the present standing"}
            />
            <Tile
              name="Right answers accepted"
              value={judging.accepts?.value == null ? "–" : percent(judging.accepts.value)}
              detail={<RateBar rate={judging.accepts} bar={bar} interval />}
            />
            <Tile
              name="Wrong answers caught"
              value={judging.catches?.value == null ? "–" : percent(judging.catches.value)}
              detail={<RateBar rate={judging.catches} bar={bar} interval />}
            />
          </div>
        </>
      )}
    </Card>
  );
}

/** What an operator may want to ask for again. */
function Shared({ one, project }: { readonly one: ReviewerDetail; readonly project: string }) {
  return (
    <Card title="Answered with others" testid="reviewer-shared">
      <p className="muted">
        {sharedOf(one)} Answers were weighed by golden items; ask again where that is not enough.
      </p>
      <ul>
        {one.shared_items.map((item) => (
          <li key={item}>
            <a href={fragmentOf(project, "items", item)} title={item}>
              {short(item)}
            </a>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Mistakes({ one }: { readonly one: ReviewerDetail }) {
  const mistakes = mistakesOf(one);
  return (
    <Card title="Mistakes on golden items" testid="reviewer-mistakes">
      {mistakes.length === 0 ? (
        <p className="muted">None.</p>
      ) : (
        <table className="figures">
          <thead>
            <tr>
              <th scope="col">Truly</th>
              <th scope="col" className="text">
                Answered
              </th>
              <th scope="col">Shapes</th>
            </tr>
          </thead>
          <tbody>
            {mistakes.map((cell) => (
              <tr key={`${cell.true}/${cell.given}`}>
                <th scope="row">{cell.true || <span className="muted">nothing there</span>}</th>
                <td className="text">{cell.given || <span className="muted">not marked</span>}</td>
                <td>{count(cell.count)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}
