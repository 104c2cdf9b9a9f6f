import { expect, test } from "vitest";
import { MemoryStorage } from "../testing/memoryStorage";
import { chosenTheme, keepTheme, otherThan } from "./theme";
import themes from "./theme.css?raw";

const SHEETS: Record<string, string> = import.meta.glob("../**/*.css", { query: "?raw", import: "default", eager: true });
const OTHERS = Object.entries(SHEETS).filter(([path]) => !path.endsWith("/theme.css"));
const LEAST = 4.5; // WCAG 2.2, 1.4.3 (AA), of text

type Rgba = readonly [red: number, green: number, blue: number, alpha: number];

/** "--ink" → as CSS has it, of one theme. */
const COLOURS = ["light", "dark"].map((theme, number) => {
  const found = new Map<string, string>();
  for (const [, name = "", value = ""] of themes.matchAll(/^ {2}(--[\w-]+): (.+);$/gm)) {
    const both = /^light-dark\((#\w+|rgb\([^)]*\)|\w+), (#\w+|rgb\([^)]*\)|\w+)\)$/.exec(value);
    found.set(name, both?.[number + 1] ?? value);
  }
  return [theme, found] as const;
});

function rgba(text: string): Rgba {
  const hex = /^#(..)(..)(..)$/.exec(text)?.slice(1).map((part) => parseInt(part, 16));
  const parts = /^rgb\((\d+) (\d+) (\d+) \/ (\d+)%\)$/.exec(text)?.slice(1).map(Number);
  const [red, green, blue, alpha] = hex ? [...hex, 100] : (parts ?? []);
  if (red === undefined || green === undefined || blue === undefined || alpha === undefined) throw new Error(text);
  return [red, green, blue, alpha / 100];
}

const over = (top: Rgba, below: Rgba): Rgba => {
  const mixed = (channel: 0 | 1 | 2) => top[channel] * top[3] + below[channel] * (1 - top[3]);
  return [mixed(0), mixed(1), mixed(2), 1];
};

function luminance([red, green, blue]: Rgba): number {
  const [r = 0, g = 0, b = 0] = [red, green, blue].map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: Rgba, other: Rgba): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

const SURFACES = ["--ground", "--panel", "--raised", "--field"];
const SELDOM = ["--raised-hover", "--chip", "--rail"]; // of what stands there, the inks that do
const WASHES: Record<string, readonly string[]> = {
  "--good-wash": ["--good-ink"],
  "--warn-wash": ["--warn-ink"],
  "--bad-wash": ["--bad-ink", "--ink"],
  "--accent-wash": ["--accent-soft", "--ink", "--ink-strong", "--muted"],
};
/** Text on what is its own; and a drawing, which is no text. */
const ELSEWHERE = new Set(["--accent-ink", "--pin-ink", "--good"]);

test("no other sheet names a colour", () => {
  const named = OTHERS.flatMap(([path, text]) =>
    (text.match(/#[0-9a-f]{3,8}\b|\b(?:rgb|hsl)a?\(|: (?:white|black)\b/gi) ?? []).map((found) => `${path} ${found}`),
  );
  expect([OTHERS.length > 10, named]).toEqual([true, []]);
});

test("every colour that a sheet asks for is there", () => {
  const known = new Set([...COLOURS[0]![1].keys(), "--radius", "--font", "--mono"]);
  const asked = Object.values(SHEETS).flatMap((text) => [...text.matchAll(/var\((--[\w-]+)\)/g)].map((one) => one[1]));
  expect(asked.filter((name) => !known.has(name ?? ""))).toEqual([]);
});

test.each(COLOURS)("in the %s theme all text can be read", (theme, colours) => {
  const colour = (name: string): Rgba => rgba(colours.get(name) ?? name);
  const texts = new Set(
    Object.values(SHEETS).flatMap((text) =>
      [...text.matchAll(/(?<![\w-])(?:color|fill): var\((--[\w-]+)\)/g)].map((one) => one[1] ?? ""),
    ),
  );
  const inks = [...texts].filter((name) => /ink|muted|accent$|soft/.test(name) && !ELSEWHERE.has(name));
  expect(inks).toEqual(expect.arrayContaining(["--ink", "--muted", "--accent", "--bad-ink"]));
  const pairs: [text: string, on: string, ground: Rgba][] = [
    ...inks.flatMap((ink) => SURFACES.map((on): [string, string, Rgba] => [ink, on, colour(on)])),
    ...SELDOM.flatMap((on) => ["--ink", "--ink-strong"].map((ink): [string, string, Rgba] => [ink, on, colour(on)])),
    ...Object.entries(WASHES).flatMap(([wash, those]) =>
      those.flatMap((ink) =>
        ["--panel", "--raised", "--ground"].map((on): [string, string, Rgba] => [
          ink,
          `${wash} on ${on}`,
          over(colour(wash), colour(on)),
        ]),
      ),
    ),
    ["--accent-ink", "--accent", colour("--accent")],
    ["--accent-ink", "--accent-hover", colour("--accent-hover")],
    // What stands on the canvas is dark in both themes.
    ...(theme === "dark" ? inks.map((ink): [string, string, Rgba] => [ink, "--canvas", colour("--canvas")]) : []),
  ];
  const bad = pairs
    .map(([text, on, ground]) => ({ text, on, ratio: contrast(colour(text), ground) }))
    .filter(({ ratio }) => ratio < LEAST);
  expect(bad).toEqual([]);
});

test("the choice is kept, and forgotten where it is what the system says", () => {
  const storage = new MemoryStorage();
  expect(chosenTheme(storage)).toBeNull();
  keepTheme(storage, otherThan("dark"), "dark");
  expect(chosenTheme(storage)).toBe("light");
  keepTheme(storage, "dark", "dark");
  expect([chosenTheme(storage), storage.length]).toEqual([null, 0]);
  storage.setItem("askance/theme", "purple");
  expect(chosenTheme(storage)).toBeNull();
});
