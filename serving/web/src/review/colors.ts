/** Colours of labels; anything that is not "#rrggbb" counts as unknown, so that no style can be smuggled in. */
import type { Label } from "../api/types";

export const UNKNOWN_COLOR = "#9aa4b2";

export type Palette = ReadonlyMap<string, string>;

export const paletteOf = (labels: readonly Label[]): Palette =>
  new Map(labels.map((label) => [label.name, /^#[0-9a-f]{6}$/i.test(label.color) ? label.color : UNKNOWN_COLOR]));

export const colorOf = (palette: Palette, label: string): string => palette.get(label) ?? UNKNOWN_COLOR;

/** Black or white, whichever is read more easily on the colour (WCAG relative luminance). */
export function inkOn(color: string): "#0b0e12" | "#ffffff" {
  const channel = (start: number): number => {
    const value = Number.parseInt(color.slice(start, start + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5) > 0.18 ? "#0b0e12" : "#ffffff";
}
