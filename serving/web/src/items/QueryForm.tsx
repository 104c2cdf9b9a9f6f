import { type FormEvent, useEffect, useState } from "react";
import { Misread } from "./Misread";
import { QueryFields } from "./QueryFields";
import { type Asked, type BadQuery, SORTS } from "./queries";

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
      {bad && <Misread query={asked.query} bad={bad} />}
      <QueryFields />
    </form>
  );
}
