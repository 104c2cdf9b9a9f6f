import type { ReactNode } from "react";
import "./plot.css";
import { ticksOf } from "./ticks";

interface Tick {
  readonly at: number;
  readonly words: string;
}

interface Props {
  readonly name: string;
  /** For who cannot see it. */
  readonly label: string;
  readonly across: {
    readonly from: number;
    readonly until: number;
    readonly ticks: readonly Tick[];
    readonly name: string;
  };
  /** Upper end of the values, which begin at 0. */
  readonly most: number;
  /** The smallest step of the values that is told. */
  readonly least?: number;
  readonly told: (value: number) => string;
  /** Lines and areas; the scales give places in the drawing. */
  readonly children: (x: (value: number) => number, y: (value: number) => number) => ReactNode;
}

const [WIDTH, HEIGHT] = [440, 210];
export const FRAME = { left: 44, top: 22, right: WIDTH - 20, bottom: HEIGHT - 38 };
const { left, top, right, bottom } = FRAME;

/** A small drawing with two axes. */
export function Plot({ name, label, across, most, least = 0, told, children }: Props) {
  const { from, until } = across;
  const x = (value: number): number =>
    left + ((Math.min(Math.max(value, from), until) - from) / (until - from)) * (right - left);
  const y = (value: number): number => bottom - (Math.min(value, most) / most) * (bottom - top);
  return (
    <svg className="plot" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      <text x={left} y={12} className="title">
        {name}
      </text>
      {ticksOf(most, least).map((height) => (
        <g key={height}>
          <line className="grid" x1={left} x2={right} y1={y(height)} y2={y(height)} />
          <text x={left - 6} y={y(height) + 4} textAnchor="end">
            {told(height)}
          </text>
        </g>
      ))}
      {across.ticks.map(({ at, words }) => (
        <text key={at} x={x(at)} y={bottom + 15} textAnchor="middle">
          {words}
        </text>
      ))}
      <text x={(left + right) / 2} y={HEIGHT - 5} textAnchor="middle">
        {across.name}
      </text>
      {children(x, y)}
    </svg>
  );
}

/** Points of a line, in the drawing's coordinates. */
export const lineOf = (points: readonly (readonly [x: number, y: number])[]): string =>
  points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
