import "./recipe.css";
import type { Refusal } from "./document";

interface Props {
  readonly refusal: Refusal;
  readonly testid: string;
}

/** What is wrong with a document, each flaw with its place. */
export function Refused({ refusal: { title, detail, hint, flaws }, testid }: Props) {
  return (
    <div className="callout error" role="alert" data-testid={testid}>
      <strong>{title}</strong>
      {flaws.length === 0 ? (
        <>
          <p>{detail}</p>
          {hint && <p className="muted">{hint}</p>}
        </>
      ) : (
        <ul className="flaws">
          {flaws.map((flaw, number) => (
            <li key={number} data-testid="flaw">
              <code>{flaw.path || "the document"}</code>: {flaw.problem}. <span className="muted">{flaw.hint}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
