/** What is to be seen of a task: the shapes of this image or frame, what others said, and what asks for a look. */
import { useMemo } from "react";
import type { Api } from "../api/client";
import type { Frame } from "../api/types";
import { answerStyle } from "./answerStyles";
import { answersOf, beginning } from "./beginning";
import type { Overlay } from "./Canvas";
import { onFrame, positionsOf, saidOf } from "./clip";
import { shapesOf } from "./editor";
import { mattersOf, pinsOf } from "./matters";
import type { Returning } from "./returning";
import type { Current } from "./session";
import { type Shape, sameSaying, sameShapes } from "./shapes";
import { useFindings } from "./useFindings";
import { useFor } from "./useFor";

const ALL_SHOWN: ReadonlySet<number> = new Set(Array.from({ length: 20 }, (_, index) => index + 1));

/** `toReturn`: what is being put together to be mended; pinned as well. */
export function useScene(api: Api, current: Current, toReturn: Returning) {
  const { task, editor, recipe, refusal } = current;
  const shapes = shapesOf(editor);
  const findings = useFindings(api, task.id, shapes);
  const first = useMemo(() => beginning(task, recipe.labels), [task.id, task.epoch, recipe]);
  const answers = useMemo(() => answersOf(task), [task.id, task.epoch]);
  const [shownAnswers, setShownAnswers] = useFor(task.id, ALL_SHOWN);
  const [frameIndex, showFrame] = useFor(task.id, task.frames?.[0]?.index ?? 0);
  const frame: Frame | null = task.frames?.find(({ index }) => index === frameIndex) ?? null;
  const positions = useMemo(() => positionsOf(task.frames ?? []), [task.id, task.epoch]);
  const { set, between } = frame ? onFrame(shapes, frame.index, positions) : { set: shapes, between: [] };
  const seenAnswers = answers.map((answer) => ({
    ...answer,
    /** Of its shapes those of this image or frame. */
    seen: frame ? saidOf(answer.shapes, frame.index, positions) : answer.shapes,
  }));

  const checked = findings.of === shapes;
  // Why the answer was refused is newer than what was found before it was sent.
  const issues = checked || refusal.length === 0 ? findings.issues : refusal;
  const disputed = stillAsProposed(task.merged?.disputed ?? [], first, shapes);
  const matters = mattersOf({ issues, returned: task.returned?.issues ?? [], disputed }, shapes);
  const errors = issues.filter(({ severity }) => severity === "error").length;

  const overlays: Overlay[] = [
    ...seenAnswers
      .filter(({ number }) => shownAnswers.has(number))
      .map(({ number, seen }) => ({
        key: `answer ${number}`,
        answer: number,
        shapes: seen,
        ...answerStyle(number),
      })),
    ...(between.length > 0 ? [{ key: "between", answer: null, shapes: between, color: "#ffffff", dash: [4, 4] }] : []),
  ];

  return {
    stage: task.stage,
    /** All shapes of the answer, and those to be seen now. */
    shapes,
    visible: set,
    frame,
    positions,
    showFrame,
    answers: seenAnswers,
    shownAnswers,
    toggleAnswer: (number: number) => setShownAnswers(toggled(shownAnswers, number)),
    overlays,
    matters,
    pins: pinsOf([...matters, ...mattersOf({ issues: [], returned: toReturn, disputed: [] }, shapes)]),
    errors,
    /** Whether the issues are those of the shapes as they are now. */
    checked,
    changed: !sameShapes(shapes, first),
  };
}

/** A dispute that a person has changed anything about is settled. */
const stillAsProposed = (ids: readonly string[], first: readonly Shape[], shapes: readonly Shape[]): string[] =>
  ids.filter((id) => {
    const [before, now] = [first, shapes].map((list) => list.find((shape) => shape.id === id));
    return before && now && sameSaying(before, now);
  });

function toggled(numbers: ReadonlySet<number>, number: number): ReadonlySet<number> {
  const next = new Set(numbers);
  if (!next.delete(number)) next.add(number);
  return next;
}
