import { type FormEvent, useState } from "react";
import type { Described } from "../api/problem";
import { Mark } from "../app/Mark";

interface Props {
  readonly problem: Described | null;
  readonly onToken: (token: string, stay: boolean) => void;
}

export function SignIn({ problem, onToken }: Props) {
  const [token, setToken] = useState("");
  const [stay, setStay] = useState(false);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim() !== "") onToken(token.trim(), stay);
  };

  return (
    <main className="sign-in">
      <form className="sign-in-card" onSubmit={submit}>
        <h1>
          <Mark /> Askance
        </h1>
        <p className="muted">Sign in with the token that an operator gave you.</p>
        <label className="field">
          <span>Token</span>
          <input
            data-testid="sign-in-token"
            type="password"
            autoComplete="current-password"
            spellCheck={false}
            autoFocus
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
        </label>
        <label className="check">
          <input type="checkbox" checked={stay} onChange={(event) => setStay(event.target.checked)} />
          <span>Stay signed in on this computer</span>
        </label>
        <div aria-live="polite">
          {problem && (
            <div className="callout error" data-testid="sign-in-problem">
              <strong>{problem.title}</strong>
              <p>{problem.detail}</p>
              {problem.hint && <p className="muted">{problem.hint}</p>}
            </div>
          )}
        </div>
        <button className="primary wide" data-testid="sign-in" type="submit" disabled={token.trim() === ""}>
          Sign in
        </button>
        <p className="muted small">
          Operators make tokens with <code>askance token create</code>.
        </p>
      </form>
    </main>
  );
}
