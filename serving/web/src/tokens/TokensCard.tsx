/** Who may call: the tokens of a project, made and revoked. For operators. */
import { useState } from "react";
import type { Token } from "../api/types";
import { Card } from "../app/Card";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { SureDialog } from "../app/SureDialog";
import { acting } from "../app/act";
import { useAsked } from "../app/asked";
import { ago } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { ROLES, TokenForm } from "./TokenForm";
import { revokeToken, tokens } from "./calls";
import { keptFrom, validFor } from "./tokens";

const REFRESH_MS = 30_000;

export function TokensCard({ api, me, project, notify }: ViewProps) {
  const asked = useAsked(() => tokens(api), project.id, REFRESH_MS);
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState<Token | null>(null);
  const now = useNow(30_000);
  const revoke = async ({ id, name }: Token) => {
    setEnding(null);
    await acting(notify, asked.refresh)(revokeToken(api, id), `${name} is out`, "The token counts no more.");
  };
  return (
    <Card
      title="Tokens"
      testid="tokens"
      aside={
        <>
          <span className="muted small">who may call, as what</span>
          <span className="grow" />
          <button data-testid="add-token" onClick={() => setAdding(true)}>
            Add
          </button>
        </>
      }
    >
      <Fetched asked={asked} what="the tokens">
        {(all) => (
          <ul className="lines">
            {validFor(all, project.id).map((one) => {
              const kept = keptFrom(me, one);
              return (
                <li key={one.id} data-testid={`token-${one.name}`}>
                  <div className="grow">
                    <strong>{one.name}</strong> <span className="badge">{one.role}</span>{" "}
                    {one.project_id === null && <span className="badge">all projects</span>}
                    <p className="muted small">
                      {ROLES[one.role]} · made {ago(one.created_at, now)}
                    </p>
                  </div>
                  <button
                    data-testid="revoke-token"
                    disabled={kept !== null}
                    title={kept ?? `End the token of ${one.name}`}
                    onClick={() => setEnding(one)}
                  >
                    Revoke
                  </button>
                </li>
              );
            })}
          </ul>
        )}
      </Fetched>
      {adding && (
        <Dialog
          title={`A token for ${project.id}`}
          onClose={() => setAdding(false)}
          onSubmit={() => setAdding(false)}
          testid="add-token-dialog"
        >
          <p>
            For one person or one program, and for this project alone. Who it is stands in the history by this name.
          </p>
          <TokenForm api={api} project={project.id} notify={notify} onMade={() => void asked.refresh()} />
          <footer>
            <button className="primary" data-testid="token-done">
              Done
            </button>
          </footer>
        </Dialog>
      )}
      {ending && (
        <SureDialog
          title={`Revoke ${ending.name}`}
          name="Revoke"
          onSure={() => void revoke(ending)}
          onClose={() => setEnding(null)}
        >
          <p>
            From the next call on, <strong>{ending.name}</strong> is refused
            {ending.project_id === null ? " in all projects" : ""}. Tasks in hand go back to the queue when their lease
            ends; answers stay. A revoked token is never valid again: make another one then.
          </p>
        </SureDialog>
      )}
    </Card>
  );
}
