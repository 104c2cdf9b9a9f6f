/** What a task begins with: the model's proposal, what was returned, what several said, or an answer to look at. */
import type { Label, Recipe, Task } from "../api/types";
import { type Shape, proposal, shapesFrom } from "./shapes";

/** The shapes on screen before anybody has done anything. */
export function beginning(task: Task, labels: readonly Label[]): Shape[] {
  if (task.returned) return shapesFrom(task.returned.shapes, task);
  switch (task.stage) {
    case "review":
      return task.tracks ? shapesFrom(task.tracks, task) : proposal(task.detections, task, labels);
    case "adjudicate":
      return task.merged ? shapesFrom(task.merged.shapes, task) : [];
    case "qa":
      return shapesFrom(task.answers[0]?.shapes ?? [], task);
  }
}

export interface PersonsAnswer {
  /** From 1 on: people are not named. */
  readonly number: number;
  readonly note: string;
  readonly shapes: readonly Shape[];
}

/** The answers between which the task decides; none for other work. */
export const answersOf = (task: Task): PersonsAnswer[] =>
  task.stage === "adjudicate"
    ? task.answers.map((answer, index) => ({
        number: index + 1,
        note: answer.note,
        shapes: shapesFrom(answer.shapes, task, `a${index + 1}.`),
      }))
    : [];

/** Recipes by version, as far as they are known. */
export class Recipes {
  private readonly known = new Map<number, Recipe>();
  private newest: Recipe;

  constructor(
    newest: Recipe,
    private readonly fetch: (version: number) => Promise<Recipe>,
  ) {
    this.newest = newest;
    this.known.set(newest.version, newest);
  }

  /** That of the version, else the newest that is known. */
  of = (version: number): Recipe => this.known.get(version) ?? this.newest;

  /** Fetches those that are not known yet. */
  async have(versions: readonly number[]): Promise<void> {
    const unknown = [...new Set(versions)].filter((version) => !this.known.has(version));
    const recipes = await Promise.all(unknown.map(this.fetch));
    for (const recipe of recipes) {
      this.known.set(recipe.version, recipe);
      if (recipe.version > this.newest.version) this.newest = recipe;
    }
  }
}
