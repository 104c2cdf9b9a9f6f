import type { Label } from "../api/types";
import { Dialog } from "../app/Dialog";
import { hints } from "./keymap";

export function HelpOverlay({ labels, onClose }: { readonly labels: readonly Label[]; readonly onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose} wide testid="help">
      <div className="help">
        {hints(labels).map((group) => (
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
