import { type Difference, inWords } from "./policy";

/** What was and what is, place by place. */
export const DifferenceList = ({ lines, testid }: { readonly lines: readonly Difference[]; readonly testid: string }) => (
  <ul className="lines" data-testid={testid}>
    {lines.map(({ place, old, new: now }) => (
      <li key={place}>
        <code>{place}</code>
        <span className="grow">
          {inWords(old)} → {inWords(now)}
        </span>
      </li>
    ))}
  </ul>
);
