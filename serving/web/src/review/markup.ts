/**
 * A safe part of Markdown as a tree: headings, paragraphs, lists, quotes, code, tables, rules; bold, italic, links.
 *
 * There is no HTML in the result and no way to make any: whatever is not understood stays text. Pictures are those of
 * the project's guidelines, `![words](picture:DIGEST)`; others are links.
 */
export type Inline =
  | { type: "text"; text: string }
  | { type: "code"; text: string }
  | { type: "strong" | "em"; children: Inline[] }
  | { type: "picture"; digest: string; words: string }
  | { type: "link"; href: string; children: Inline[] };

export type Block =
  | { type: "heading"; level: number; children: Inline[] }
  | { type: "paragraph"; children: Inline[] }
  | { type: "list"; ordered: boolean; items: Block[][] }
  | { type: "quote"; children: Block[] }
  | { type: "code"; text: string }
  | { type: "table"; head: Inline[][]; rows: Inline[][][] }
  | { type: "rule" };

const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( +)(.*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const FENCE = /^ {0,3}(```+|~~~+)/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const DELIMITERS = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

export function blocksOf(text: string): Block[] {
  return parsed(text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

const DEEPEST = 20; // lists in lists; beyond it text

function parsed(lines: readonly string[], depth: number): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const [block, next] = blockAt(lines, at, depth);
    if (block) blocks.push(block);
    at = next;
  }
  return blocks;
}

/** The block that begins here (null for an empty line), and the line after it. */
function blockAt(lines: readonly string[], at: number, depth: number): [Block | null, number] {
  const line = lines[at] ?? "";
  if (line.trim() === "") return [null, at + 1];
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence[1] ?? "```");
  const heading = HEADING.exec(line);
  if (heading) {
    return [{ type: "heading", level: heading[1]?.length ?? 1, children: inlinesOf(heading[2] ?? "") }, at + 1];
  }
  if (RULE.test(line)) return [{ type: "rule" }, at + 1];
  if (depth < DEEPEST && QUOTE.test(line)) {
    const end = endOf(lines, at, (other) => QUOTE.test(other));
    const within = lines.slice(at, end).map((other) => other.replace(QUOTE, ""));
    return [{ type: "quote", children: parsed(within, depth + 1) }, end];
  }
  if (depth < DEEPEST && ITEM.test(line)) return listAt(lines, at, depth);
  if (line.includes("|") && DELIMITERS.test(lines[at + 1] ?? "") && (lines[at + 1] ?? "").includes("-")) {
    return tableAt(lines, at);
  }
  const end = Math.max(
    endOf(lines, at, (other) => other.trim() !== "" && !interrupts(other)),
    at + 1,
  );
  const words = lines.slice(at, end).map((other) => other.trim());
  return [{ type: "paragraph", children: inlinesOf(words.join("\n")) }, end];
}

const interrupts = (line: string): boolean =>
  HEADING.test(line) || FENCE.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

function endOf(lines: readonly string[], at: number, belongs: (line: string) => boolean): number {
  let end = at;
  while (end < lines.length && belongs(lines[end] ?? "")) end += 1;
  return end;
}

function fenced(lines: readonly string[], at: number, fence: string): [Block, number] {
  const close = lines.findIndex((line, index) => index > at && line.trim().startsWith(fence));
  const end = close < 0 ? lines.length : close;
  return [{ type: "code", text: lines.slice(at + 1, end).join("\n") }, end + 1];
}

function listAt(lines: readonly string[], at: number, depth: number): [Block, number] {
  const ordered = /\d/.test(ITEM.exec(lines[at] ?? "")?.[2] ?? "");
  const items: Block[][] = [];
  let next = at;
  for (;;) {
    const item = ITEM.exec(lines[next] ?? "");
    if (!item || /\d/.test(item[2] ?? "") !== ordered) break;
    const indent = (item[1] ?? "").length + (item[2] ?? "").length + 1;
    const own = (line: string): boolean => line.startsWith(" ".repeat(Math.min(indent, 2))) || line.trim() === "";
    let end = endOf(lines, next + 1, own);
    while (end > next + 1 && (lines[end - 1] ?? "").trim() === "") end -= 1;
    const within = [item[4] ?? "", ...lines.slice(next + 1, end).map((line) => unindented(line, indent))];
    items.push(parsed(within, depth + 1));
    next = end;
    const following = endOf(lines, next, (line) => line.trim() === "");
    if (ITEM.test(lines[following] ?? "")) next = following;
  }
  return [{ type: "list", ordered, items }, next];
}

const unindented = (line: string, by: number): string => {
  const spaces = line.length - line.trimStart().length;
  return line.slice(Math.min(spaces, by));
};

function tableAt(lines: readonly string[], at: number): [Block, number] {
  const end = endOf(lines, at + 2, (line) => line.includes("|"));
  const head = cells(lines[at] ?? "");
  const rows = lines.slice(at + 2, end).map((line) => head.map((_, column) => cells(line)[column] ?? []));
  return [{ type: "table", head, rows }, end];
}

const cells = (line: string): Inline[][] =>
  line
    .trim()
    .replace(/^\||\|$/g, "")
    .split("|")
    .map((cell) => inlinesOf(cell.trim()));

const SPAN = new RegExp(
  [
    /`([^`]+)`/,
    /\*\*(?=\S)((?:[^*]|\*(?!\*))+?)(?<!\s)\*\*/,
    /__(?=\S)([^_]+?)(?<!\s)__/,
    /(?<![*\w])\*(?![*\s])([^*]+?)(?<!\s)\*(?!\*)/,
    /\b_(?=\S)([^_]+?)(?<!\s)_\b/,
    /!?\[([^\]]*)\]\(([^()\s]+)\)/,
  ]
    .map(({ source }) => source)
    .join("|"),
);

export function inlinesOf(text: string): Inline[] {
  const inlines: Inline[] = [];
  let rest = text;
  for (let found = SPAN.exec(rest); found; found = SPAN.exec(rest)) {
    if (found.index > 0) inlines.push({ type: "text", text: rest.slice(0, found.index) });
    inlines.push(span(found));
    rest = rest.slice(found.index + found[0].length);
  }
  return rest === "" ? inlines : [...inlines, { type: "text", text: rest }];
}

function span(found: RegExpExecArray): Inline {
  const [whole, code, strong = found[3], , em = found[5], , label, href] = found;
  if (code !== undefined) return { type: "code", text: code };
  if (strong !== undefined) return { type: "strong", children: inlinesOf(strong) };
  if (em !== undefined) return { type: "em", children: inlinesOf(em) };
  const digest = whole.startsWith("!") ? PICTURE.exec(href ?? "")?.[1] : undefined;
  if (digest !== undefined) return { type: "picture", digest, words: label ?? "" };
  if (href !== undefined && isSafe(href)) return { type: "link", href, children: inlinesOf(label || href) };
  return { type: "text", text: whole };
}

const PICTURE = /^picture:([0-9a-f]{64})$/;

/** Only pages and addresses of the web and mail: no scripts, no data. */
const isSafe = (href: string): boolean => /^(https?:\/\/|mailto:)/i.test(href);
