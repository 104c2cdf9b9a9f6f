import { useState } from "react";
import type { Cost, CostBy, Rates, Spent } from "../api/types";
import { Card, Tile } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { closing } from "../app/act";
import { useAsked } from "../app/asked";
import { estimated, minutes, money } from "../app/figures";
import { count } from "../app/format";
import { RatesDialog } from "./RatesDialog";
import type { SpanProps } from "./WorkPage";
import { cost, setRates } from "./calls";
import { basisOf, perItem } from "./work";

const REFRESH_MS = 60_000;
const BYS: Record<CostBy, string> = {
  label: "by label",
  cycle: "by cycle",
  source: "by source",
  reviewer: "by reviewer",
};

export function CostCard({ api, project, notify, since, span }: SpanProps) {
  const [by, setBy] = useState<CostBy>("label");
  const [changing, setChanging] = useState(false);
  const asked = useAsked(() => cost(api, project.id, since, by), `${since}/${by}`, REFRESH_MS);
  const close = () => setChanging(false);
  const change = (rates: Rates) =>
    closing(notify, asked.refresh, close)(
      setRates(api, project.id, rates),
      "Rates changed",
      "They hold for work of the past too.",
    );
  return (
    <Card
      title="Cost"
      testid="cost"
      aside={
        <>
          <span className="grow" />
          <select
            aria-label="Rows"
            data-testid="cost-by"
            value={by}
            onChange={(event) => setBy(event.target.value as CostBy)}
          >
            {Object.entries(BYS).map(([name, words]) => (
              <option key={name} value={name}>
                {words}
              </option>
            ))}
          </select>
          <button data-testid="change-rates" onClick={() => setChanging(true)}>
            Rates
          </button>
        </>
      }
    >
      <Fetched asked={asked} what="the cost">
        {(found) =>
          found.total === null ? (
            <p className="muted">Nobody has worked in {span}, so there is nothing to pay.</p>
          ) : (
            <>
              <Saved found={found} total={found.total} />
              <div className="scroll">
                <Rows found={found} total={found.total} />
              </div>
            </>
          )
        }
      </Fetched>
      {changing && (
        <RatesDialog api={api} project={project.id} onClose={close} onChange={change} />
      )}
    </Card>
  );
}

/** What was spent, and what labelling everything would have taken. */
function Saved({ found, total }: { readonly found: Cost; readonly total: Spent }) {
  const { everything, currency } = found;
  const cash = (value: number): string => money(value, currency);
  return (
    <>
      <div className="tiles">
        <Tile
          name="Spent"
          value={total.money === null ? minutes(total.minutes) : cash(total.money)}
          detail={
            total.money === null ? "no rate is known: set one under Rates" : `for ${minutes(total.minutes)} of work`
          }
          testid="cost-spent"
        />
        <Tile
          name="An item"
          value={perItem(total) === null ? minutes(total.minutes_per_item) : money(perItem(total), currency)}
          detail={`${minutes(total.minutes_per_item)} each, ${count(total.items)} items`}
          testid="cost-item"
        />
        {everything && (
          <>
            <Tile
              name="Labelling all that was served"
              value={everything.money ? cash(everything.money.value) : minutes(everything.minutes.value)}
              detail={
                everything.money
                  ? `95 %: ${cash(everything.money.low)} to ${cash(everything.money.high)}`
                  : `95 %: ${minutes(everything.minutes.low)} to ${minutes(everything.minutes.high)}`
              }
            />
            <Tile
              name="Saved"
              value={everything.money_saved ? cash(everything.money_saved.value) : minutes(everything.saved.value)}
              detail={
                everything.money_saved
                  ? `95 %: ${cash(everything.money_saved.low)} to ${cash(everything.money_saved.high)}`
                  : `95 %: ${minutes(everything.saved.low)} to ${minutes(everything.saved.high)}`
              }
              testid="cost-saved"
            />
          </>
        )}
      </div>
      <p className="muted small">
        {everything ? (
          <>
            All {count(everything.items)} items that were served would take one person{" "}
            {estimated(everything.minutes, minutes)}, {basisOf(everything)}.
          </>
        ) : (
          "What all items would take, and what was saved, is told from ten answers on."
        )}
      </p>
    </>
  );
}

function Rows({ found, total }: { readonly found: Cost; readonly total: Spent }) {
  return (
    <table className="figures">
      <thead>
        <tr>
          <th scope="col">{HEADS[found.by ?? "label"]}</th>
          <th scope="col">Items</th>
          <th scope="col">Answers and skips</th>
          <th scope="col">Time</th>
          <th scope="col">Time an item</th>
          <th scope="col">Cost</th>
          <th scope="col">Cost an item</th>
        </tr>
      </thead>
      <tbody>
        {found.rows.map((row) => (
          <Row key={row.key} row={row} name={row.name || NAMELESS[found.by ?? "label"]} currency={found.currency} />
        ))}
        <Row row={total} name="all" currency={found.currency} total />
      </tbody>
    </table>
  );
}

const HEADS: Record<CostBy, string> = { label: "Label", cycle: "Cycle", source: "Source", reviewer: "Reviewer" };
const NAMELESS: Record<CostBy, string> = { label: "no shape", cycle: "none yet", source: "none", reviewer: "unknown" };

interface RowProps {
  readonly row: Spent;
  readonly name: string;
  readonly currency: string;
  readonly total?: boolean;
}

function Row({ row, name, currency, total }: RowProps) {
  return (
    <tr className={total ? "total" : ""}>
      <th scope="row">{name}</th>
      <td>{count(row.items)}</td>
      <td>{count(row.tasks)}</td>
      <td>{minutes(row.minutes)}</td>
      <td>{minutes(row.minutes_per_item)}</td>
      <td>{money(row.money, currency)}</td>
      <td>{money(perItem(row), currency)}</td>
    </tr>
  );
}
