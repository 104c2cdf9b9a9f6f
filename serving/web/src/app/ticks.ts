/** Round numbers from 0 to `most`, at most six. least: the smallest step. */
export function ticksOf(most: number, least = 0): number[] {
  const power = 10 ** Math.floor(Math.log10(most / 5));
  const step = Math.max([1, 2, 5, 10].map((part) => part * power).find((size) => most / size <= 5) ?? most, least);
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, number) =>
    Number((number * step).toPrecision(6)),
  );
}
