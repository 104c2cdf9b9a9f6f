import {
  dictionary,
  fixedSizeBinary,
  float32,
  int8,
  tableFromArrays,
  tableToIPC,
  timestamp,
  utf8,
} from "@uwdata/flechette";
import { describe, expect, test } from "vitest";
import { UnreadableMap, columnsOf, rowsOf } from "./columns";

const digest = (row: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, at) => (at === 31 ? row : 0xab));
const hex = (row: number): string => "ab".repeat(31) + row.toString(16).padStart(2, "0");

function streamOf(rows: number, metadata: [string, string][] = [["askance.map", "1"]]): Uint8Array {
  const of = <T>(value: (row: number) => T): T[] => Array.from({ length: rows }, (_, row) => value(row));
  const table = tableFromArrays(
    {
      item: of(digest),
      x: of((row) => row / 2),
      y: of((row) => -row),
      risk: of((row) => row / rows),
      anomaly_p: of(() => 1),
      score: of((row) => (row === 1 ? null : 0.75)),
      label: of((row) => (row === 1 ? null : row % 2 === 0 ? "car" : "bus")),
      source: of(() => ""),
      state: of((row) => (row === 0 ? "truth" : "open")),
      predicted_at: of((row) => Date.UTC(2026, 4, 1) + row),
    },
    {
      types: {
        item: fixedSizeBinary(32),
        x: float32(),
        y: float32(),
        risk: float32(),
        anomaly_p: float32(),
        score: float32(),
        label: dictionary(utf8()),
        source: dictionary(utf8()),
        state: dictionary(utf8(), int8()),
        predicted_at: timestamp(2, "UTC"),
      },
      maxBatchRows: 3,
    },
  );
  table.schema.metadata = new Map(metadata);
  const bytes = tableToIPC(table, { format: "stream" });
  if (!bytes) throw new Error("nothing was written");
  return bytes;
}

describe("a map as it comes", () => {
  test("has its columns in order, whatever pieces they came in", () => {
    const columns = columnsOf(streamOf(7));
    expect(columns.count).toBe(7);
    expect([...columns.x]).toEqual([0, 0.5, 1, 1.5, 2, 2.5, 3]);
    expect(columns.item(5)).toBe(hex(5));
    expect(columns.predictedAt[6]).toBe(Date.UTC(2026, 4, 1) + 6);
  });

  test("knows where nothing was found", () => {
    const { label, score } = columnsOf(streamOf(4));
    const names = [...label.codes].map((code) => label.names[code] ?? null);
    expect(names).toEqual(["car", null, "car", "bus"]);
    expect([...score].map(Number.isNaN)).toEqual([false, true, false, false]);
  });

  test("keeps names for all rows where none is missing", () => {
    const { state } = columnsOf(streamOf(4));
    expect([...state.codes].map((code) => state.names[code])).toEqual(["truth", "open", "open", "open"]);
  });

  test.each([
    ["of another version", streamOf(2, [["askance.map", "2"]])],
    ["without its metadata", streamOf(2, [])],
    ["that is no Arrow stream", new TextEncoder().encode("<html>Bad gateway</html>")],
  ])("one %s is refused, with what to do", (_, bytes) => {
    expect(() => columnsOf(bytes)).toThrow(UnreadableMap);
    expect(() => columnsOf(bytes)).toThrow("Reload the page");
  });

  test("finds again the images that were selected on the one before", () => {
    expect([...rowsOf(columnsOf(streamOf(6)), new Set([hex(4), hex(2), "no such"]))]).toEqual([2, 4]);
  });
});
