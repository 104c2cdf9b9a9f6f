import type { FormEvent } from "react";
import { QueryFields } from "../items/QueryFields";
import { CONFIGURED, type Choice, LIKE_THIS, MOST, type Part, type Wish, resembles } from "./wish";

interface Props {
  readonly wish: Wish;
  readonly choices: readonly Choice[];
  readonly busy: boolean;
  readonly onWish: (wish: Wish) => void;
  readonly onLook: () => void;
}

export function WishForm({ wish, choices, busy, onWish, onLook }: Props) {
  const { parts } = wish;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onLook();
  };
  const replace = (at: number, part: Part) => onWish({ ...wish, parts: parts.map((one, n) => (n === at ? part : one)) });
  const free = choices.find(({ name }) => name !== CONFIGURED && !parts.some(({ strategy }) => strategy === name));
  return (
    <form className="form wish" onSubmit={submit}>
      <div className="wish-row">
        <label className="field">
          <span>How many images, 1 to {MOST.toLocaleString("en-US")}</span>
          <input
            data-testid="budget"
            inputMode="numeric"
            value={wish.budget}
            onChange={(event) => onWish({ ...wish, budget: event.target.value })}
          />
        </label>
        <label className="field grow">
          <span>Only items that meet this query (empty: all)</span>
          <input
            data-testid="select-query"
            className="mono"
            placeholder="source = camera-3 and risk > 0.4"
            spellCheck={false}
            autoComplete="off"
            maxLength={4000}
            value={wish.query}
            onChange={(event) => onWish({ ...wish, query: event.target.value })}
          />
        </label>
      </div>
      <QueryFields />
      <fieldset className="parts">
        <legend className="muted small">Chosen by{parts.length > 1 && ", in parts of any sum"}</legend>
        {parts.map((part, at) => (
          <PartRow
            key={at}
            part={part}
            number={at + 1}
            choices={choices}
            mixed={parts.length > 1}
            onPart={(next) => replace(at, next)}
            onRemove={() => onWish({ ...wish, parts: parts.filter((_, other) => other !== at) })}
          />
        ))}
        <button
          type="button"
          className="link small"
          data-testid="add-part"
          disabled={free === undefined || parts[0]?.strategy === CONFIGURED}
          title={parts[0]?.strategy === CONFIGURED ? "Choose a strategy first" : undefined}
          onClick={() => free && onWish({ ...wish, parts: [...parts, { strategy: free.name, share: "20" }] })}
        >
          Add another to the mix
        </button>
      </fieldset>
      {resembles(wish) && (
        <div className="wish-row">
          <label className="field">
            <span>Like so many of the images that people corrected last</span>
            <input
              data-testid="failures"
              inputMode="numeric"
              value={wish.failures}
              onChange={(event) => onWish({ ...wish, failures: event.target.value })}
            />
          </label>
          <label className="field">
            <span>Like so many of the most ambiguous ones</span>
            <input
              data-testid="ambiguous"
              inputMode="numeric"
              value={wish.ambiguous}
              onChange={(event) => onWish({ ...wish, ambiguous: event.target.value })}
            />
          </label>
        </div>
      )}
      <details>
        <summary className="muted small">More</summary>
        <div className="wish-row">
          <label className="field">
            <span>At least so many at random, %</span>
            <input
              data-testid="random-share"
              inputMode="decimal"
              placeholder="as configured"
              value={wish.random}
              onChange={(event) => onWish({ ...wish, random: event.target.value })}
            />
          </label>
          <label className="field">
            <span>Seed: the same gives the same picks</span>
            <input
              inputMode="numeric"
              placeholder="a new one"
              value={wish.seed}
              onChange={(event) => onWish({ ...wish, seed: event.target.value })}
            />
          </label>
          <label className="check">
            <input
              type="checkbox"
              checked={wish.noDuplicates}
              onChange={(event) => onWish({ ...wish, noDuplicates: event.target.checked })}
            />
            Of near-duplicates one at most
          </label>
        </div>
      </details>
      <footer className="row">
        <button className="primary" data-testid="show-picks" disabled={busy}>
          Show what would be chosen
        </button>
      </footer>
    </form>
  );
}

interface PartProps {
  readonly part: Part;
  readonly number: number;
  readonly choices: readonly Choice[];
  readonly mixed: boolean;
  readonly onPart: (part: Part) => void;
  readonly onRemove: () => void;
}

function PartRow({ part, number, choices, mixed, onPart, onRemove }: PartProps) {
  const takes = choices.find(({ name }) => name === part.strategy)?.takes;
  return (
    <div className="part">
      {mixed && (
        <input
          className="share"
          inputMode="decimal"
          aria-label={`Share of part ${number}`}
          data-testid={`share-${number}`}
          value={part.share}
          onChange={(event) => onPart({ ...part, share: event.target.value })}
        />
      )}
      <select
        aria-label={mixed ? `Strategy of part ${number}` : "Strategy"}
        data-testid={`strategy-${number}`}
        value={part.strategy}
        onChange={(event) => onPart({ ...part, strategy: event.target.value })}
      >
        {choices.map(({ name }) => (
          <option key={name} value={name} disabled={mixed && name === CONFIGURED}>
            {name === CONFIGURED ? "as configured" : name === LIKE_THIS ? "like-this (mistakes)" : name}
          </option>
        ))}
      </select>
      <span className="muted small" data-testid={`takes-${number}`}>
        {takes}
      </span>
      {mixed && (
        <button type="button" className="link small" aria-label={`Remove part ${number}`} onClick={onRemove}>
          Remove
        </button>
      )}
    </div>
  );
}
