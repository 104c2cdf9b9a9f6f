import { useState } from "react";
import { acting, closing } from "../app/act";
import { Confirm } from "../app/Asking";
import { Card } from "../app/Card";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { SureDialog } from "../app/SureDialog";
import { useAsked } from "../app/asked";
import { exactly, fixed } from "../app/figures";
import { shortId } from "../app/format";
import type { ViewProps } from "../app/view";
import { fragmentOf } from "../session/route";
import { putSlices, slicesKnown } from "./calls";
import { EVERY_VIEW, type Known, type SliceRow, freeViews, marginTyped, rowsOf, withSlice, without } from "./slices";

const REFRESH_MS = 60_000;

/** Saved views that a candidate may not get worse on. */
export function SlicesCard({ api, project, notify }: ViewProps) {
  const asked = useAsked(() => slicesKnown(api, project), `${project.id}/${project.champion_id ?? ""}`, REFRESH_MS);
  const [adding, setAdding] = useState(false);
  const [leaving, setLeaving] = useState<string | null>(null);
  const act = acting(notify, asked.refresh);
  const known = asked.value;
  const remove = (view: string) => {
    setLeaving(null);
    if (known) void act(putSlices(api, project.id, without(known.slices, view)), "No slice any more", view);
  };
  const add = (view: string, margin: number | null) =>
    known
      ? closing(notify, asked.refresh, () => setAdding(false))(
          putSlices(api, project.id, withSlice(known.slices, view, margin)),
          "Slice added",
          `${view}, from the next cycle on.`,
        )
      : undefined;
  return (
    <Card
      title="Slices"
      testid="slices"
      aside={
        <>
          <span className="grow" />
          <button data-testid="add-slice" disabled={known === null} onClick={() => setAdding(true)}>
            Add a slice…
          </button>
        </>
      }
    >
      <p className="muted">
        Saved views (<a href={fragmentOf(project.id, "items")}>Items</a>) whose held-out images a candidate may not get worse
        on. Which images these are is found when a cycle’s snapshot is made.
      </p>
      <Fetched asked={asked} what="the slices">
        {(found) =>
          found.slices.slices.length === 0 ? (
            <p className="muted" data-testid="no-slices">
              None yet. Sources, audits and past failures are looked at anyhow.
            </p>
          ) : (
            <>
              <Table found={found} onRemove={setLeaving} />
              <Judged project={project.id} found={found} />
            </>
          )
        }
      </Fetched>
      {adding && known && <AddDialog known={known} onAdd={add} onClose={() => setAdding(false)} />}
      {leaving !== null && (
        <SureDialog title="Remove this slice" name="Remove" onSure={() => remove(leaving)} onClose={() => setLeaving(null)}>
          <p>A candidate may get worse on “{leaving}” then, from the next cycle on. The view stays.</p>
        </SureDialog>
      )}
    </Card>
  );
}

function Table({ found, onRemove }: { readonly found: Known; readonly onRemove: (view: string) => void }) {
  return (
    <div className="scroll">
      <table className="figures">
        <thead>
          <tr>
            <th scope="col">View</th>
            <th scope="col" className="text">
              Query
            </th>
            <th scope="col">Items now</th>
            <th scope="col">Judged on</th>
            <th scope="col">Champion, mAP 50–95</th>
            <th scope="col">May be worse by</th>
            <th scope="col">
              <span className="visually-hidden">What can be done</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rowsOf(found).map((row) => (
            <Row key={row.view} row={row} onRemove={() => onRemove(row.view)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ row, onRemove }: { readonly row: SliceRow; readonly onRemove: () => void }) {
  const { view, query, items, judged, figure, note, margin, usual } = row;
  return (
    <tr data-testid={`slice-${view}`}>
      <th scope="row">{view}</th>
      <td className="text wraps">
        {query !== null && <code>{query || "all items"}</code>}{" "}
        {note && <span className={query === null && view !== EVERY_VIEW ? "down small" : "muted small"}>{note}</span>}
      </td>
      <td>{items}</td>
      <td>{judged}</td>
      <td>{fixed(figure, 3)}</td>
      <td>
        {exactly(margin)} {usual && <span className="muted small">as usual</span>}
      </td>
      <td>
        <button data-testid={`remove-slice-${view}`} onClick={onRemove}>
          Remove
        </button>
      </td>
    </tr>
  );
}

function Judged({ project, found: { judged } }: { readonly project: string; readonly found: Known }) {
  if (judged === null) return <p className="muted small">No cycle has judged the present champion yet.</p>;
  return (
    <p className="muted small">
      The champion was last judged by{" "}
      <a href={fragmentOf(project, "overview", judged.cycle.id)}>{shortId(judged.cycle.id)}</a>, on that cycle’s images.
    </p>
  );
}

interface AddProps {
  readonly known: Known;
  readonly onAdd: (view: string, margin: number | null) => unknown;
  readonly onClose: () => void;
}

function AddDialog({ known, onAdd, onClose }: AddProps) {
  const free = freeViews(known);
  const [view, setView] = useState(free[0]?.name ?? "");
  const [text, setText] = useState("");
  const margin = marginTyped(text);
  const query = free.find(({ name }) => name === view)?.query;
  return (
    <Dialog
      title="Add a slice"
      onClose={onClose}
      onSubmit={() => (margin === undefined || view === "" ? undefined : onAdd(view, margin))}
      testid="add-slice-dialog"
    >
      {free.length === 0 ? (
        <p>All views are slices. At Items, “Save as view” keeps a query under a name.</p>
      ) : (
        <>
          <label className="field">
            <span>View</span>
            <select data-testid="slice-view" data-first value={view} onChange={(event) => setView(event.target.value)}>
              {free.map(({ name }) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          {query !== undefined && (
            <p>
              <code>{query || "all items"}</code>
            </p>
          )}
          <label className="field">
            <span>By how much mAP 50–95 may get worse, 0 to below 1</span>
            <input
              data-testid="slice-margin"
              inputMode="decimal"
              placeholder={`${known.slices.margin}, as usual`}
              aria-invalid={margin === undefined}
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          </label>
        </>
      )}
      <Confirm name="Add" disabled={margin === undefined || view === ""} onClose={onClose} />
    </Dialog>
  );
}
