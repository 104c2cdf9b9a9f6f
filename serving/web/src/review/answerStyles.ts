/** How each person's answer is drawn: told apart by colour and by line, for those who do not see the colour. */
export interface AnswerStyle {
  readonly color: string;
  readonly dash: readonly number[];
}

const COLORS = ["#f0e442", "#56b4e9", "#e69f00", "#cc79a7", "#009e73"] as const;
const DASHES = [[], [9, 4], [3, 3], [10, 3, 2, 3]] as const;

/** `number`: from 1 on. Twenty differ. */
export function answerStyle(number: number): AnswerStyle {
  const index = Math.max(number - 1, 0);
  return { color: COLORS[index % COLORS.length] ?? COLORS[0], dash: DASHES[index % DASHES.length] ?? [] };
}
