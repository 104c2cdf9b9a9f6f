import { type FormEvent, useEffect, useState } from "react";
import { type Asked, type BadQuery, SORTS, marked } from "./queries";

interface Props {
  /** What is asked now; the field follows it. */
  readonly asked: Asked;
  readonly bad: BadQuery | null;
  readonly onAsk: (asked: Asked) => void;
}

export function QueryForm({ asked, bad, onAsk }: Props) {
  const [query, setQuery] = useState(asked.query);
  useEffect(() => setQuery(asked.query), [asked.query]);
  const send = (event: FormEvent) => {
    event.preventDefault();
    onAsk({ ...asked, query: query.trim() });
  };
  const place = bad && marked(asked.query, bad);
  return (
    <form className="query" onSubmit={send}>
      <div className="chooser">
        <input
          data-testid="query"
          className="grow"
          aria-label="Query"
          aria-invalid={bad !== null}
          aria-describedby={bad ? "bad-query" : undefined}
          placeholder="all items; or: risk > 0.6 and missing truth"
          spellCheck={false}
          autoComplete="off"
          maxLength={4000}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <select
          aria-label="Sort"
          data-testid="sort"
          value={asked.sort}
          onChange={(event) => onAsk({ query: query.trim(), sort: event.target.value })}
        >
          {Object.entries(SORTS).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
        <button className="primary" data-testid="find">
          Find
        </button>
      </div>
      {bad && (
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
      )}
      <details>
        <summary className="muted small">What can be asked</summary>
        <p className="muted small">
          Fields: digest, source, group, media_type, width, height, created_at, captured_at, meta.KEY, split, model,
          risk, decision, stage, detection, shape, label, truth, tag, work, corrections, failed, golden, lot.
          Comparisons: = != &lt; &lt;= &gt; &gt;= ~ (contains) ^= (begins with), in (a, b), has FIELD, missing FIELD;
          joined by and, or, not and parentheses. Times: 2026-01-31, 7d ago. What has blanks is quoted.
        </p>
      </details>
    </form>
  );
}
