import { useState } from "react";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { counted } from "../app/figures";
import { wordsIn } from "./reviewers";

interface Props {
  readonly onAdd: (digests: readonly string[]) => void;
  readonly onClose: () => void;
}

export function AddGoldenDialog({ onAdd, onClose }: Props) {
  const [text, setText] = useState("");
  const digests = wordsIn(text);
  return (
    <Dialog title="Add golden items" onClose={onClose} onSubmit={() => onAdd(digests)} testid="add-golden-dialog">
      <p className="muted">
        Their ground truth is trusted: make sure of it first. People get them among other work and cannot tell them from
        it. The map copies ids of items; other answers than the ground truth go in with{" "}
        <code>askance golden add --shapes</code>.
      </p>
      <label className="field">
        <span>Ids of items, one a line</span>
        <textarea
          data-first
          rows={5}
          spellCheck={false}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </label>
      <Confirm name={`Add ${counted(digests.length, "item")}`} disabled={digests.length === 0} onClose={onClose} />
    </Dialog>
  );
}
