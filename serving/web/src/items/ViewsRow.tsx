import { useState } from "react";
import type { SavedView } from "../api/types";
import { acting, closing } from "../app/act";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { useAsked } from "../app/asked";
import type { ViewProps } from "../app/view";
import { removeView, saveView, views } from "./calls";
import type { Asked } from "./queries";

const REFRESH_MS = 60_000;

interface Props extends Pick<ViewProps, "api" | "notify"> {
  readonly project: string;
  readonly asked: Asked;
  readonly onAsk: (asked: Asked) => void;
  /** Whether what is asked now can be kept. */
  readonly readable: boolean;
}

/** Queries that operators kept under a name, to ask them again. */
export function ViewsRow({ api, project, notify, asked, onAsk, readable }: Props) {
  const kept = useAsked(() => views(api, project), project, REFRESH_MS);
  const [dialog, setDialog] = useState<"save" | "remove" | null>(null);
  const act = acting(notify, kept.refresh);
  const known = kept.value?.views ?? [];
  const present = known.find(({ query, sort }) => query === asked.query && sort === asked.sort) ?? null;

  const save = async (name: string) => {
    const saved = saveView(api, project, name, asked);
    await closing(notify, kept.refresh, () => setDialog(null))(saved, "View saved", name);
    onAsk(await saved); // the service keeps the query as it understood it
  };

  const remove = (name: string) => {
    setDialog(null);
    void act(removeView(api, project, name), "View removed", name);
  };

  return (
    <div className="chooser" data-testid="views">
      <label>
        <span className="muted">View</span>
        <select
          data-testid="view"
          value={present?.name ?? ""}
          onChange={(event) => {
            const view = known.find(({ name }) => name === event.target.value);
            onAsk(view ? { query: view.query, sort: view.sort } : { ...asked, query: "" });
          }}
        >
          <option value="">{present === null && asked.query !== "" ? "not kept" : "all items"}</option>
          {known.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {kept.problem && <span className="muted small">{kept.problem.title}: views may be old.</span>}
      <span className="grow" />
      {present ? (
        <button data-testid="remove-view" onClick={() => setDialog("remove")}>
          Remove this view
        </button>
      ) : (
        <button data-testid="save-view" disabled={!readable} onClick={() => setDialog("save")}>
          Save as view
        </button>
      )}
      {dialog === "save" && (
        <SaveDialog known={known} onClose={() => setDialog(null)} onSave={save} />
      )}
      {dialog === "remove" && present && (
        <Dialog
          title="Remove this view"
          onClose={() => setDialog(null)}
          onSubmit={() => remove(present.name)}
          testid="remove-view-dialog"
        >
          <p>
            “{present.name}”, kept by {present.actor}, goes for all operators. The items stay as they are.
          </p>
          <Confirm name="Remove" disabled={false} onClose={() => setDialog(null)} />
        </Dialog>
      )}
    </div>
  );
}

interface SaveProps {
  readonly known: readonly SavedView[];
  readonly onSave: (name: string) => Promise<void>;
  readonly onClose: () => void;
}

function SaveDialog({ known, onSave, onClose }: SaveProps) {
  const [name, setName] = useState("");
  const wanted = name.trim();
  const before = known.find((view) => view.name === wanted);
  return (
    <Dialog
      title="Save as view"
      onClose={onClose}
      onSubmit={() => wanted !== "" && onSave(wanted)}
      testid="save-view-dialog"
    >
      <p>Query and sort are kept for all operators.</p>
      <label className="field">
        <span>Name</span>
        <input
          data-testid="view-name"
          data-first
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      {before && (
        <p className="callout warn" role="status">
          It takes the place of <code>{before.query || "all items"}</code>, kept by {before.actor}.
        </p>
      )}
      <Confirm name="Save" disabled={wanted === ""} onClose={onClose} />
    </Dialog>
  );
}
