import type { ReactNode } from "react";
import { count } from "../app/format";

interface Props {
  /** Which all are: "shown" */
  readonly which: string;
  readonly all: readonly string[];
  readonly chosen: ReadonlySet<string>;
  readonly onChoose: (chosen: ReadonlySet<string>) => void;
  /** What is done with those that are chosen. */
  readonly children: ReactNode;
}

/** Above a gallery: choosing all or none of it, and what to do with them. */
export const ChooseRow = ({ which, all, chosen, onChoose, children }: Props) => (
  <div className="chooser">
    <button data-testid="choose-all" disabled={all.every((one) => chosen.has(one))} onClick={() => onChoose(new Set(all))}>
      Choose all {count(all.length)} {which}
    </button>
    <button disabled={chosen.size === 0} onClick={() => onChoose(new Set())}>
      Choose none
    </button>
    <span className="grow" />
    {children}
  </div>
);

/** With the item, or without it where it was chosen. */
export const toggled = (chosen: ReadonlySet<string>, digest: string): ReadonlySet<string> =>
  chosen.has(digest) ? new Set([...chosen].filter((one) => one !== digest)) : new Set([...chosen, digest]);
