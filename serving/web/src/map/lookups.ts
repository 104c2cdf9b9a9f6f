/** What is fetched for single points: a few at a time, and the newest kept. */

interface Waiting<T> {
  readonly key: string;
  readonly done: (value: T) => void;
  readonly failed: (error: unknown) => void;
}

export class Lookups<T> {
  private readonly known = new Map<string, Promise<T>>();
  private readonly waiting: Waiting<T>[] = [];
  private running = 0;

  constructor(
    private readonly fetchOne: (key: string) => Promise<T>,
    private readonly kept: number,
    /** What frees one that is not kept any longer. */
    private readonly free: (value: T) => void = () => undefined,
    private readonly atOnce = 4,
  ) {}

  /** One that failed is forgotten, so that asking again tries again. */
  get(key: string): Promise<T> {
    const known = this.known.get(key);
    this.known.delete(key); // the one asked for last is the last to go
    const value = known ?? this.ask(key);
    this.known.set(key, value);
    if (!known) value.catch(() => this.known.get(key) === value && this.known.delete(key));
    for (const oldest of this.known.keys()) {
      if (this.known.size <= this.kept) break;
      this.forget(oldest);
    }
    return value;
  }

  clear(): void {
    for (const key of [...this.known.keys()]) this.forget(key);
  }

  private forget(key: string): void {
    void this.known.get(key)?.then(this.free, () => undefined);
    this.known.delete(key);
  }

  private ask(key: string): Promise<T> {
    return new Promise((done, failed) => {
      this.waiting.push({ key, done, failed });
      this.next();
    });
  }

  /** What was asked for last comes first: it is what somebody looks at now. */
  private next(): void {
    if (this.running >= this.atOnce) return;
    const one = this.waiting.pop();
    if (!one) return;
    this.running += 1;
    this.fetchOne(one.key)
      .then(one.done, one.failed)
      .finally(() => {
        this.running -= 1;
        this.next();
      });
  }
}
