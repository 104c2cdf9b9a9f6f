import { Fragment, useState } from "react";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { counted } from "../app/figures";
import { type Refused, reasonsOf, wordsIn } from "./reviewers";

interface Props {
  /** Gives those that were refused, which stay to be mended. */
  readonly onAdd: (digests: readonly string[]) => Promise<readonly Refused[]>;
  readonly onClose: () => void;
}

export function AddGoldenDialog({ onAdd, onClose }: Props) {
  const [text, setText] = useState("");
  const [refused, setRefused] = useState<readonly Refused[]>([]);
  const digests = wordsIn(text);
  const add = async () => {
    const left = await onAdd(digests);
    setRefused(left);
    setText(left.map(({ id }) => id).join("\n"));
  };
  return (
    <Dialog title="Add golden items" onClose={onClose} onSubmit={add} testid="add-golden-dialog">
      <p className="muted">
        Their ground truth is trusted: make sure of it first. People get them among other work and cannot tell them from
        it. The map copies ids of items; other answers than the ground truth go in with{" "}
        <code>askance golden add --shapes</code>.
      </p>
      <label className="field">
        <span>Ids of items, one a line; their first 8 digits will do</span>
        <textarea
          data-first
          rows={5}
          spellCheck={false}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </label>
      {refused.length > 0 && (
        <div className="callout error" role="alert" data-testid="golden-refused">
          <strong>{counted(refused.length, "item was", "items were")} refused</strong>
          <dl>
            {reasonsOf(refused).map(({ reason, ids }) => (
              <Fragment key={reason}>
                <dt>{reason}</dt>
                {ids.map((id) => (
                  <dd key={id}>
                    <code className="whole">{id}</code>
                  </dd>
                ))}
              </Fragment>
            ))}
          </dl>
        </div>
      )}
      <Confirm name={`Add ${counted(digests.length, "item")}`} disabled={digests.length === 0} onClose={onClose} />
    </Dialog>
  );
}
