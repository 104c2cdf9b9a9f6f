import type { Curve, CurvePoint } from "../api/types";
import { percent } from "../app/format";
import { shownUntil, ticksOf } from "./lots";

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

const [WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM] = [440, 210, 44, 22, 20, 38];

export function CurvePlot({ curve, value, most, name, told, marks, seen }: Props) {
  const until = shownUntil(curve.points, seen?.share);
  const x = (share: number): number => LEFT + (Math.min(share, until) / until) * (WIDTH - LEFT - RIGHT);
  const y = (height: number): number => HEIGHT - BOTTOM - (height / most) * (HEIGHT - TOP - BOTTOM);
  const line = curve.points
    .filter((point, number) => point.share <= until || (curve.points[number - 1]?.share ?? 1) < until)
    .map((point) => `${x(point.share).toFixed(1)},${y(value(point)).toFixed(1)}`)
    .join(" ");
  return (
    <svg className="plot" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${name}, by the share of defects`}>
      <text x={LEFT} y={12} className="title">
        {name}
      </text>
      {seen && (
        <g className="seen">
          <rect
            x={x(seen.low)}
            width={Math.max(x(seen.high) - x(seen.low), 1)}
            y={TOP}
            height={HEIGHT - TOP - BOTTOM}
          />
          <line x1={x(seen.share)} x2={x(seen.share)} y1={TOP} y2={HEIGHT - BOTTOM} />
        </g>
      )}
      {ticksOf(most, most > 1 ? 1 : 0).map((height) => (
        <g key={height}>
          <line className="grid" x1={LEFT} x2={WIDTH - RIGHT} y1={y(height)} y2={y(height)} />
          <text x={LEFT - 6} y={y(height) + 4} textAnchor="end">
            {told(height)}
          </text>
        </g>
      ))}
      {ticksOf(until).map((share) => (
        <text key={share} x={x(share)} y={HEIGHT - BOTTOM + 15} textAnchor="middle">
          {percent(share)}
        </text>
      ))}
      <text x={(LEFT + WIDTH - RIGHT) / 2} y={HEIGHT - 5} textAnchor="middle">
        defects in the lot
      </text>
      {marks.map((mark, number) => (
        <g key={mark.name} className="mark">
          <line x1={x(mark.share)} x2={x(mark.share)} y1={TOP} y2={HEIGHT - BOTTOM} />
          <text x={x(mark.share) + 4} y={TOP + 11 + 13 * number}>
            {mark.name}
          </text>
        </g>
      ))}
      <polyline points={line} />
    </svg>
  );
}
