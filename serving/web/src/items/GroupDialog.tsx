import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { ListedItem, NewGroup } from "../api/types";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { ProblemNote } from "../app/ProblemNote";
import { counted } from "../app/figures";
import type { ViewProps } from "../app/view";
import { makeGroup } from "../clips/calls";
import { type Order, groupFrom } from "../clips/clips";

interface Props {
  readonly api: Api;
  readonly project: string;
  /** As they are listed. */
  readonly items: readonly ListedItem[];
  readonly notify: ViewProps["notify"];
  readonly onMade: () => void;
  readonly onClose: () => void;
}

/** Stays open with what is wrong, so that it can be mended. */
export function GroupDialog({ api, project, items, notify, onMade, onClose }: Props) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState<NewGroup["kind"]>("clip");
  const [order, setOrder] = useState<Order>("time");
  const [problem, setProblem] = useState<Described | null>(null);
  const [busy, setBusy] = useState(false);
  const make = async () => {
    setBusy(true);
    try {
      const made = await makeGroup(api, project, groupFrom(items, name, kind, order));
      const detail = `${made.name}: ${counted(made.frames, "frame")}.`;
      notify({ tone: "info", title: "Group made", detail, hint: "Make tasks over its frames at Clips." });
      onMade();
    } catch (error) {
      setProblem(describe(error));
      setBusy(false);
    }
  };
  const nameless = name.trim() === "";
  return (
    <Dialog
      title={`Group ${counted(items.length, "chosen item")}`}
      onClose={onClose}
      onSubmit={() => !nameless && !busy && void make()}
      testid="group-dialog"
    >
      <p className="muted">
        Frames in an order, over which people get tasks. Those of a clip or a camera stay on one side of every split.
      </p>
      <label className="field">
        <span>Name</span>
        <input
          data-first
          data-testid="group-name"
          maxLength={200}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <label className="field">
        <span>Kind</span>
        <select
          data-testid="group-kind"
          value={kind}
          onChange={(event) => setKind(event.target.value as NewGroup["kind"])}
        >
          <option value="clip">clip</option>
          <option value="camera">camera</option>
          <option value="any">any: an order, no more</option>
        </select>
      </label>
      <label className="field">
        <span>Order</span>
        <select data-testid="group-order" value={order} onChange={(event) => setOrder(event.target.value as Order)}>
          <option value="time">by when they were taken, or came</option>
          <option value="list">as they are listed</option>
        </select>
      </label>
      {problem && <ProblemNote problem={problem} testid="group-refused" />}
      <Confirm name="Make group" disabled={nameless || busy} onClose={onClose} />
    </Dialog>
  );
}
