/** The name that was probably meant, as Python's difflib finds it. */

const LEAST_LIKENESS = 0.6;

export function nearestOf(name: string, known: readonly string[]): string | null {
  const [best] = known
    .map((one) => ({ one, likeness: (2 * commonIn(name, one)) / (name.length + one.length) }))
    .filter(({ likeness }) => likeness >= LEAST_LIKENESS)
    .toSorted((a, b) => b.likeness - a.likeness);
  return best?.one ?? null;
}

/** Characters of the longest run that both have, and of those before and behind it. */
function commonIn(one: string, other: string): number {
  const { at, there, length } = longestRun(one, other);
  if (length === 0) return 0;
  const before = commonIn(one.slice(0, at), other.slice(0, there));
  return before + length + commonIn(one.slice(at + length), other.slice(there + length));
}

function longestRun(one: string, other: string): { at: number; there: number; length: number } {
  let best = { at: 0, there: 0, length: 0 };
  for (let at = 0; at < one.length; at += 1) {
    for (let there = 0; there < other.length; there += 1) {
      let length = 0;
      while (at + length < one.length && one[at + length] === other[there + length]) length += 1;
      if (length > best.length) best = { at, there, length };
    }
  }
  return best;
}
