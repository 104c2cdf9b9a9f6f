import { useState } from "react";
import type { Api } from "../api/client";
import type { WebhookBody } from "../api/types";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { eventTypes } from "./calls";

interface Props {
  readonly api: Api;
  readonly project: string;
  /** Whether who is signed in may have an endpoint told of all projects. */
  readonly everywhere: boolean;
  readonly onAdd: (body: WebhookBody) => Promise<void>;
  readonly onClose: () => void;
}

const NEVER_MS = 86_400_000;

export function AddDialog({ api, project, everywhere, onAdd, onClose }: Props) {
  const known = useAsked(() => eventTypes(api), "types", NEVER_MS);
  const [url, setUrl] = useState("");
  const [description, setDescription] = useState("");
  const [all, setAll] = useState(false);
  const [types, setTypes] = useState<readonly string[]>([]);
  const add = () =>
    onAdd({ url: url.trim(), description: description.trim(), project_id: all ? null : project, types: [...types] });
  return (
    <Dialog title="Add a webhook" onClose={onClose} onSubmit={add} testid="add-webhook-dialog" wide>
      <div className="pair">
        <label className="field">
          <span>Address that is posted to</span>
          <input
            data-first
            data-testid="webhook-url"
            type="url"
            required
            maxLength={2000}
            placeholder="https://…"
            value={url}
            onChange={(event) => setUrl(event.target.value)}
          />
        </label>
        <label className="field">
          <span>What it is for</span>
          <input maxLength={200} value={description} onChange={(event) => setDescription(event.target.value)} />
        </label>
      </div>
      {everywhere && (
        <label className="check">
          <input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} />
          <span>Of all projects, not only {project}</span>
        </label>
      )}
      <Fetched asked={known} what="the types of events">
        {({ types: offered }) => (
          <fieldset className="types">
            <legend className="muted small">Events; none ticked: all, also those to come</legend>
            {offered.map((type) => (
              <label key={type.name} className="check">
                <input
                  type="checkbox"
                  checked={types.includes(type.name)}
                  onChange={(event) =>
                    setTypes(event.target.checked ? [...types, type.name] : types.filter((one) => one !== type.name))
                  }
                />
                <span>
                  {type.name} <span className="muted small">{type.says}</span>
                </span>
              </label>
            ))}
          </fieldset>
        )}
      </Fetched>
      <Confirm name="Add" disabled={url.trim() === ""} onClose={onClose} />
    </Dialog>
  );
}
