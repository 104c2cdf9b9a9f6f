import { describe, expect, test } from "vitest";
import { type Block, type Inline, blocksOf, inlinesOf } from "./markup";

const types = (blocks: readonly Block[]) => blocks.map(({ type }) => type);
const text = (value: string): Inline => ({ type: "text", text: value });

test("blocks of every kind are told apart", () => {
  const source = [
    "# T",
    "para",
    "graph",
    "",
    "- a",
    "- b",
    "",
    "> q",
    "",
    "```",
    "<b>",
    "```",
    "---",
    "",
    "a|b",
    "-|-",
    "1|2",
  ];
  expect(types(blocksOf(source.join("\n")))).toEqual([
    "heading",
    "paragraph",
    "list",
    "quote",
    "code",
    "rule",
    "table",
  ]);
});

test("numbered lists hold lists", () => {
  const [list] = blocksOf("1. one\n2. two\n   - inner\n   - more\n3. three");
  expect(list).toMatchObject({ type: "list", ordered: true });
  expect(list?.type === "list" && list.items.map(types)).toEqual([["paragraph"], ["paragraph", "list"], ["paragraph"]]);
});

test("items apart by an empty line are one list", () => {
  const blocks = blocksOf("- a\n\n- b\n\nafter");
  expect(types(blocks)).toEqual(["list", "paragraph"]);
});

test("a table has as many cells in each row as in its head", () => {
  const [table] = blocksOf("| a | b |\n|---|:-:|\n| **1** |\n| 2 | 3 | 4 |");
  expect(table?.type === "table" && table.rows.map((row) => row.length)).toEqual([2, 2]);
});

test("bold, italic, code and links", () => {
  expect(inlinesOf("**a** *b* `c*` [d](https://e.org)")).toEqual([
    { type: "strong", children: [text("a")] },
    text(" "),
    { type: "em", children: [text("b")] },
    text(" "),
    { type: "code", text: "c*" },
    text(" "),
    { type: "link", href: "https://e.org", children: [text("d")] },
  ]);
});

test("pictures of the guidelines are shown, others are links", () => {
  const digest = "0a".repeat(32);
  expect(inlinesOf(`![a torn label](picture:${digest})`)).toEqual([
    { type: "picture", digest, words: "a torn label" },
  ]);
  expect(inlinesOf("![x](https://e.org/a.png)")).toEqual([
    { type: "link", href: "https://e.org/a.png", children: [text("x")] },
  ]);
  for (const no of [`[x](picture:${digest})`, "![x](picture:../../secret)", `![x](picture:${digest}0)`]) {
    expect(inlinesOf(no)).toEqual([text(no)]);
  }
});

describe("nothing dangerous comes of it", () => {
  test("HTML stays text", () => {
    expect(blocksOf("<script>alert(1)</script>")).toEqual([
      { type: "paragraph", children: [text("<script>alert(1)</script>")] },
    ]);
  });

  test.each(["javascript:alert(1)", "data:text/html,x", "JAVASCRIPT:x", "//evil.example", "vbscript:x"])(
    "%s is no link",
    (href) => {
      expect(inlinesOf(`[x](${href})`).every(({ type }) => type === "text")).toBe(true);
    },
  );

  test("endless nesting and unclosed marks end", () => {
    expect(blocksOf(`${">".repeat(5000)} x`)).toHaveLength(1);
    expect(blocksOf("```\nnever closed")).toEqual([{ type: "code", text: "never closed" }]);
    expect(inlinesOf("**a *b `c")).toEqual([text("**a *b `c")]);
  });
});
