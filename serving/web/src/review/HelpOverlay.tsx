import type { CustomFunction } from "../api/types";
import type { Label } from "../api/types";
import { Dialog } from "../app/Dialog";
import { hints } from "./keymap";

interface Props {
  readonly labels: readonly Label[];
  readonly functions: readonly CustomFunction[];
  readonly onClose: () => void;
}

export function HelpOverlay({ labels, functions, onClose }: Props) {
  return (
    <Dialog title="Keys" onClose={onClose} wide testid="help">
      <div className="help">
        {hints(labels, functions).map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.hints.map((hint) => (
                <div key={hint.does}>
                  <dt>
                    {hint.keys.map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{hint.does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
