/** What somebody types into the form of a selection, and the request that it makes. */
import type { SelectionBody, Strategies } from "../api/types";

/** In place of a strategy's name: as the settings say. */
export const CONFIGURED = "";
export const LIKE_THIS = "like-this";
export const MOST = 20_000; // that one selection may take
const MOST_TO_RESEMBLE = 1000;

export interface Part {
  readonly strategy: string;
  /** As typed; of one part alone it says nothing. */
  readonly share: string;
}

export interface Wish {
  readonly budget: string;
  readonly parts: readonly Part[];
  readonly query: string;
  /** In %; empty: as the settings say. */
  readonly random: string;
  /** Empty: a new one. */
  readonly seed: string;
  readonly noDuplicates: boolean;
  /** How many of the newest corrected items, and of the most ambiguous ones, `like-this` looks for. */
  readonly failures: string;
  readonly ambiguous: string;
}

export const FIRST: Wish = {
  budget: "50",
  parts: [{ strategy: CONFIGURED, share: "60" }],
  query: "",
  random: "",
  seed: "",
  noDuplicates: false,
  failures: "20",
  ambiguous: "0",
};

/** Whether it looks for what is like others. */
export const resembles = ({ parts }: Wish): boolean => parts.some(({ strategy }) => strategy === LIKE_THIS);

/** The request, or what keeps it from being one. */
export function bodyOf(wish: Wish): SelectionBody | string {
  const budget = wholeIn(wish.budget, 1, MOST);
  if (budget === null) return `How many: give a whole number, 1 to ${MOST.toLocaleString("en-US")}.`;
  const names = wish.parts.map(({ strategy }) => strategy);
  if (new Set(names).size < names.length) return "Each strategy can stand there once.";
  if (names.length > 1 && names.includes(CONFIGURED)) return "Parts of a mix need a strategy each.";
  const shares = wish.parts.map(({ share }) => Number(share));
  if (names.length > 1 && !shares.every((share) => share > 0)) return "Parts of a mix are numbers above 0.";
  const random = wish.random.trim() === "" ? null : Number(wish.random) / 100;
  if (random !== null && !(random >= 0 && random <= 1)) return "At random: give 0 to 100 %.";
  const seed = wish.seed.trim() === "" ? null : wholeIn(wish.seed, 0, 2 ** 32 - 1);
  if (wish.seed.trim() !== "" && seed === null) return "Seed: give a whole number from 0.";
  const alike = resembles(wish);
  const [failures, ambiguous] = [wish.failures, wish.ambiguous].map((text) => wholeIn(text, 0, MOST_TO_RESEMBLE));
  if (alike && (failures == null || ambiguous == null || failures + ambiguous === 0))
    return `To resemble: give at least one item, at most ${MOST_TO_RESEMBLE} of each kind.`;
  const mixed = names.length > 1 || names[0] !== CONFIGURED;
  return {
    budget,
    ...(mixed && { strategies: Object.fromEntries(wish.parts.map(({ strategy }, at) => [strategy, names.length > 1 ? (shares[at] ?? 0) : 1])) }),
    ...(wish.query.trim() !== "" && { query: wish.query.trim() }),
    ...(random !== null && { random_share: random }),
    ...(seed !== null && { seed }),
    ...(wish.noDuplicates && { no_duplicates: true }),
    ...(alike && { failures: failures ?? 0, ambiguous: ambiguous ?? 0 }),
  };
}

function wholeIn(text: string, least: number, most: number): number | null {
  const number = Number(text);
  return text.trim() !== "" && Number.isInteger(number) && number >= least && number <= most ? number : null;
}

/** "60% hybrid, 40% anomaly", the largest part first. */
export const mixInWords = (mix: Readonly<Record<string, number>>): string =>
  Object.entries(mix)
    .sort(([, one], [, other]) => other - one)
    .map(([name, share]) => (share === 1 ? name : `${Math.round(share * 100)}% ${name}`))
    .join(", ");

/** The parts of any sum as shares of it. */
export function sharesOf(parts: Readonly<Record<string, number>>): Record<string, number> {
  const whole = Object.values(parts).reduce((sum, part) => sum + part, 0);
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, whole > 0 ? part / whole : 0]));
}

export interface Choice {
  readonly name: string;
  readonly takes: string;
}

/** What can be chosen by, with what each takes: before there is a model only what needs none. */
export function choicesOf({ strategies, ...told }: Strategies, hasModel: boolean): Choice[] {
  const configured = mixInWords(sharesOf(hasModel ? told.default : told.default_without_model));
  const alike = {
    name: LIKE_THIS,
    takes: "what is most like images that people corrected, or found hard to tell",
  };
  return [
    { name: CONFIGURED, takes: `as configured: ${configured}` },
    ...strategies.filter(({ without_model }) => hasModel || without_model),
    ...(hasModel ? [alike] : []),
  ];
}

/** "source = camera-3, meta.site = north" of a filter, a query as it is. */
export const narrowedInWords = (conditions: Readonly<Record<string, string>>): string =>
  Object.entries(conditions)
    .map(([name, value]) => (name === "query" ? value : `${name} = ${value}`))
    .join(", ");
