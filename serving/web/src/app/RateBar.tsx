import { percent } from "./format";
import { NOTHING } from "./figures";

interface Props {
  /** In [0, 1], with the ends of its 95 % interval; value null: nothing to count yet. */
  readonly rate: { readonly value: number | null; readonly low: number; readonly high: number } | null;
  /** Where it should be at least. */
  readonly bar?: number;
  /** Without the value, which is shown elsewhere. */
  readonly interval?: boolean;
}

/** "92% (85 to 97%)", drawn too: the interval, the value, and the bar to be cleared. */
export function RateBar({ rate, bar, interval = false }: Props) {
  if (rate === null || rate.value === null) {
    return <span className="muted">{interval ? "nothing to count yet" : NOTHING}</span>;
  }
  const { value, low, high } = rate;
  const tone = bar === undefined ? "" : high < bar ? " below" : low >= bar ? " above" : "";
  return (
    <span className="rate">
      <span>
        {!interval && `${percent(value)} `}
        <span className="muted small">
          {interval && "95 %: "}
          {percent(low).replace("%", "")}–{percent(high)}
        </span>
      </span>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect className="rail" width="100" height="6" />
        <rect className={`span${tone}`} x={100 * low} width={Math.max(100 * (high - low), 1)} height="6" />
        <rect className="point" x={Math.min(100 * value, 99)} width="1.4" height="6" />
        {bar !== undefined && <rect className="bar" x={100 * bar} width="0.8" height="6" />}
      </svg>
    </span>
  );
}
