import { useState } from "react";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { WhichItems } from "./WhichItems";
import { tagsFrom } from "./queries";

export interface Tagging {
  readonly add: string[];
  readonly remove: string[];
}

interface Props {
  /** "3 chosen items" */
  readonly which: string;
  /** Of all that meet it; null: of those that were chosen. */
  readonly query: string | null;
  readonly onTag: (tags: Tagging) => Promise<void>;
  readonly onClose: () => void;
}

export function TagDialog({ which, query, onTag, onClose }: Props) {
  const [add, setAdd] = useState("");
  const [remove, setRemove] = useState("");
  const tags = { add: tagsFrom(add), remove: tagsFrom(remove) };
  const nothing = tags.add.length + tags.remove.length === 0;
  return (
    <Dialog title={`Tag ${which}`} onClose={onClose} onSubmit={() => !nothing && onTag(tags)} testid="tag-dialog">
      <WhichItems query={query} />
      <label className="field">
        <span>Add (parted by commas)</span>
        <input data-testid="add-tags" data-first value={add} onChange={(event) => setAdd(event.target.value)} />
      </label>
      <label className="field">
        <span>Remove</span>
        <input data-testid="remove-tags" value={remove} onChange={(event) => setRemove(event.target.value)} />
      </label>
      <Confirm name="Change tags" disabled={nothing} onClose={onClose} />
    </Dialog>
  );
}
