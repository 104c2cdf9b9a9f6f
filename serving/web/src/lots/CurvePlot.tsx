import type { Curve, CurvePoint } from "../api/types";
import { FRAME, Plot, lineOf } from "../app/Plot";
import { percent } from "../app/format";
import { ticksOf } from "../app/ticks";
import { shownUntil } from "./lots";

interface Props {
  readonly curve: Curve;
  readonly value: (point: CurvePoint) => number;
  /** Upper end of the values. */
  readonly most: number;
  readonly name: string;
  readonly told: (value: number) => string;
  /** Shares of defects that the plan is made for. */
  readonly marks: readonly { readonly share: number; readonly name: string }[];
  /** The lot's own share, as its sample has it. */
  readonly seen: { readonly share: number; readonly low: number; readonly high: number } | null;
}

export function CurvePlot({ curve, value, most, name, told, marks, seen }: Props) {
  const until = shownUntil(curve.points, seen?.share);
  const shown = curve.points.filter(
    (point, number) => point.share <= until || (curve.points[number - 1]?.share ?? 1) < until,
  );
  const ticks = ticksOf(until).map((share) => ({ at: share, words: percent(share) }));
  return (
    <Plot
      name={name}
      label={`${name}, by the share of defects`}
      across={{ from: 0, until, ticks, name: "defects in the lot" }}
      most={most}
      least={most > 1 ? 1 : 0}
      told={told}
    >
      {(x, y) => (
        <>
          {seen && (
            <g className="seen">
              <rect
                x={x(seen.low)}
                width={Math.max(x(seen.high) - x(seen.low), 1)}
                y={FRAME.top}
                height={FRAME.bottom - FRAME.top}
              />
              <line x1={x(seen.share)} x2={x(seen.share)} y1={FRAME.top} y2={FRAME.bottom} />
            </g>
          )}
          {marks.map((mark, number) => (
            <g key={mark.name} className="mark">
              <line x1={x(mark.share)} x2={x(mark.share)} y1={FRAME.top} y2={FRAME.bottom} />
              <text x={x(mark.share) + 4} y={FRAME.top + 11 + 13 * number}>
                {mark.name}
              </text>
            </g>
          ))}
          <polyline points={lineOf(shown.map((point) => [x(point.share), y(value(point))]))} />
        </>
      )}
    </Plot>
  );
}
