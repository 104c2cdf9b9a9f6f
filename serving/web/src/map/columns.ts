/** A map as the service sends it: an Arrow IPC stream (docs/map.md), read into one array for each column. */
import { type Column, tableFromIPC } from "@uwdata/flechette";

/** A column of few names. codes: the place of each row's name, -1 for none. */
export interface Named {
  readonly codes: Int32Array;
  readonly names: readonly string[];
}

/** One row for each image that the champion has predicted. Names and units as in docs/map.md. */
export interface Columns {
  readonly count: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly risk: Float32Array;
  readonly anomaly: Float32Array;
  /** Of the surest detection; NaN where nothing was found. */
  readonly score: Float32Array;
  readonly label: Named;
  readonly source: Named;
  readonly state: Named;
  /** Milliseconds since 1970. */
  readonly predictedAt: Float64Array;
  /** The digest of a row's image, 64 hex digits. */
  readonly item: (row: number) => string;
}

/** What the service's present version calls its format; another one may mean other things by the same names. */
const FORMAT = "1";

export class UnreadableMap extends Error {
  constructor(why: string) {
    super(`This page cannot read the map that the service sent: ${why}. Reload the page.`);
  }
}

/** Throws UnreadableMap for anything but a whole map. */
export function columnsOf(stream: Uint8Array): Columns {
  const table = tableOf(stream);
  if (table.schema.metadata?.get("askance.map") !== FORMAT) throw new UnreadableMap("it is of another version");
  const column = (name: string): Column<unknown> => {
    const found = table.getChild(name) as Column<unknown> | undefined;
    if (!found) throw new UnreadableMap(`it has no column ${name}`);
    return found;
  };
  const items = column("item");
  return {
    count: table.numRows,
    x: numbers(column("x")),
    y: numbers(column("y")),
    risk: numbers(column("risk")),
    anomaly: numbers(column("anomaly_p")),
    score: numbers(column("score")),
    label: named(column("label")),
    source: named(column("source")),
    state: named(column("state")),
    predictedAt: Float64Array.from(column("predicted_at").toArray() as ArrayLike<number>),
    item: (row) => hexOf(items.at(row) as Uint8Array),
  };
}

/** The rows of these digests, as many as are there: for what was selected on the map before. */
export function rowsOf(columns: Columns, digests: ReadonlySet<string>): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < columns.count && rows.length < digests.size; row += 1) {
    if (digests.has(columns.item(row))) rows.push(row);
  }
  return Int32Array.from(rows);
}

function tableOf(stream: Uint8Array) {
  try {
    return tableFromIPC(stream);
  } catch (error) {
    throw new UnreadableMap(error instanceof Error ? error.message : String(error));
  }
}

function numbers(column: Column<unknown>): Float32Array {
  const values = column.toArray() as ArrayLike<number | null>;
  return values instanceof Float32Array ? values : Float32Array.from(values, (value) => value ?? Number.NaN);
}

/** The codes as they came, without making a text for each row. */
function named(column: Column<unknown>): Named {
  const codes = new Int32Array(column.length).fill(-1);
  let names: readonly string[] = [];
  let row = 0;
  for (const batch of column.data as unknown as readonly Coded[]) {
    names = batch.dictionary.toArray();
    // A batch without nulls has no bits that say so.
    for (let at = 0; at < batch.length; at += 1, row += 1)
      if (batch.nullCount === 0 || batch.isValid(at)) codes[row] = batch.key(at);
  }
  return { codes, names };
}

/** What flechette's batches of dictionary columns offer; its declarations do not export them. */
interface Coded {
  readonly length: number;
  readonly nullCount: number;
  readonly dictionary: { readonly toArray: () => readonly string[] };
  readonly isValid: (at: number) => boolean;
  readonly key: (at: number) => number;
}

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
