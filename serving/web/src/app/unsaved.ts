import { Keep } from "../review/keep";

const isAnything = (_value: unknown): _value is unknown => true;

/** What was typed into a form and is not saved yet, by name. It outlives the form and a reload, not the tab. */
export class Unsaved {
  private readonly values = new Map<string, unknown>(); // also what the browser refuses to store
  private readonly listeners = new Set<() => void>();
  private readonly kept: Keep<unknown>;

  constructor(storage: Storage) {
    this.kept = new Keep(storage, "askance/unsaved/", isAnything);
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Null where nothing is. */
  get(name: string): unknown {
    if (!this.values.has(name)) this.values.set(name, this.kept.get(name));
    return this.values.get(name);
  }

  /** null: it was saved or thrown away. */
  set(name: string, value: unknown): void {
    this.values.set(name, value);
    if (value === null) this.kept.drop(name);
    else this.kept.put(name, value);
    for (const listener of this.listeners) listener();
  }
}
