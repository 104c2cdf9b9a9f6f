import type { ReactNode } from "react";
import type { Detection } from "../api/types";
import { type Palette, colorOf } from "../review/colors";
import { type Items, useLookup } from "./items";
import "./thumbnail.css";

interface Props {
  readonly items: Items;
  readonly digest: string;
  readonly alt: string;
  /** Milliseconds before the image is asked for. */
  readonly rest?: number;
  /** Drawn over the image, where they are known. */
  readonly found?: {
    readonly detections: readonly Detection[];
    readonly width: number;
    readonly height: number;
  } | null;
  readonly palette?: Palette;
  /** Drawn over the image by whoever shows it, as an svg in the image's pixels. */
  readonly children?: ReactNode;
}

/** The image of a point, small; or why there is none. */
export function Thumbnail({ items, digest, alt, rest = 0, found, palette, children }: Props) {
  const { value, problem } = useLookup(items.images, digest, rest);
  return (
    <span className="thumbnail" data-ready={value !== null || problem !== null}>
      {value !== null && <img src={value} alt={alt} draggable={false} />}
      {value !== null && found && palette && (
        <svg viewBox={`0 0 ${found.width} ${found.height}`} aria-hidden="true">
          {found.detections.map(({ box, label }, number) => {
            const [x = 0, y = 0, right = 0, bottom = 0] = box;
            return (
              <rect key={number} x={x} y={y} width={right - x} height={bottom - y} stroke={colorOf(palette, label)} />
            );
          })}
        </svg>
      )}
      {value !== null && children}
      {problem && (
        <span className="muted small" title={`${problem.detail} ${problem.hint}`}>
          {problem.title}
        </span>
      )}
    </span>
  );
}
