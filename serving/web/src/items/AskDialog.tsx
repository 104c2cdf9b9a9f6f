import { useState } from "react";
import type { Api } from "../api/client";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import type { ViewProps } from "../app/view";
import { fragmentOf } from "../session/route";
import { selectedInWords } from "./queries";

interface Props {
  readonly api: Api;
  readonly project: string;
  /** At first. */
  readonly budget: number;
  readonly notify: ViewProps["notify"];
  readonly onClose: () => void;
}

const MOST = 20_000; // that one selection may take

/** Asks people for the images that are worth their time most, among those that nobody has looked at. */
export function AskDialog({ api, project, budget, notify, onClose }: Props) {
  const [typed, setTyped] = useState(String(budget));
  const [busy, setBusy] = useState(false);
  const number = Number(typed);
  const ready = Number.isInteger(number) && number >= 1 && number <= MOST && !busy;
  const ask = async () => {
    if (!ready) return;
    setBusy(true);
    try {
      notify({ tone: "info", ...selectedInWords(await api.select(project, { budget: number })) });
      onClose();
    } catch (error) {
      setBusy(false);
      throw error;
    }
  };
  return (
    <Dialog title="Ask people to label images" onClose={onClose} onSubmit={ask} testid="ask-dialog">
      <p>
        They are chosen among all images that nobody has looked at, so that people learn most from them: without a model
        so that they differ from each other, with one by what it is unsure of too. Each becomes a task at Review.
      </p>
      <p className="muted small">
        To see them first, or to choose by a strategy, a mix or a query: <a href={fragmentOf(project, "selections")}>Selections</a>.
      </p>
      <label className="field">
        <span>How many images, 1 to {MOST.toLocaleString("en-US")}</span>
        <input
          data-testid="ask-budget"
          data-first
          type="number"
          min={1}
          max={MOST}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
      </label>
      <Confirm name={busy ? "Choosing…" : "Ask people"} disabled={!ready} onClose={onClose} />
    </Dialog>
  );
}
