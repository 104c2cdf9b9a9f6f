import "./misread.css";
import { type BadQuery, marked } from "./queries";

interface Props {
  readonly query: string;
  readonly bad: BadQuery;
}

/** A query that cannot be read, with the place. */
export function Misread({ query, bad }: Props) {
  const place = marked(query, bad);
  return (
    <div className="callout error" role="alert" id="bad-query" data-testid="bad-query">
      {place && (
        <pre className="misread">
          {place.before}
          <mark>{place.wrong || " "}</mark>
          {place.after}
        </pre>
      )}
      <p>
        {bad.detail} {bad.hint}
      </p>
    </div>
  );
}
