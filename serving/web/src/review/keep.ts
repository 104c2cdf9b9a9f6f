/**
 * What must outlive a reload, kept in the browser: one JSON record per key, under a prefix of the signed-in person.
 *
 * Records that cannot be read (another version of the page wrote them) are ignored, never thrown.
 */
export class Keep<T> {
  constructor(
    private readonly storage: Storage,
    private readonly prefix: string,
    private readonly reads: (value: unknown) => value is T,
  ) {}

  /** False where the browser refuses to store (full, or forbidden). */
  put(key: string, value: T): boolean {
    try {
      this.storage.setItem(this.prefix + key, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }

  get(key: string): T | null {
    try {
      const value: unknown = JSON.parse(this.storage.getItem(this.prefix + key) ?? "null");
      return this.reads(value) ? value : null;
    } catch {
      return null;
    }
  }

  drop(key: string): void {
    this.storage.removeItem(this.prefix + key);
  }

  all(): T[] {
    return this.keys().flatMap((key) => this.get(key) ?? []);
  }

  keys(): string[] {
    const names = Array.from({ length: this.storage.length }, (_, index) => this.storage.key(index) ?? "");
    return names.filter((name) => name.startsWith(this.prefix)).map((name) => name.slice(this.prefix.length));
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
