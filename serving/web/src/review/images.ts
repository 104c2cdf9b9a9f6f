/** Images loaded ahead and decoded off the main thread, so that the next item shows at once. */
import type { Task } from "../api/types";

export interface Loaded {
  readonly bitmap: ImageBitmap;
  readonly bytes: number;
  readonly mediaType: string;
}

export class Images {
  private readonly loading = new Map<string, Promise<Loaded>>();

  constructor(private readonly fetchBlob: (task: Task) => Promise<Blob>) {}

  /** The image of the task; a failed load is forgotten, so that asking again tries again. */
  load(task: Task): Promise<Loaded> {
    const known = this.loading.get(task.item_digest);
    if (known) return known;
    const loading = this.fetchBlob(task).then(decoded);
    this.loading.set(task.item_digest, loading);
    loading.catch(() => {
      if (this.loading.get(task.item_digest) === loading) this.loading.delete(task.item_digest);
    });
    return loading;
  }

  /** Frees all but these. */
  keepOnly(digests: readonly string[]): void {
    for (const [digest, loading] of this.loading) {
      if (digests.includes(digest)) continue;
      this.loading.delete(digest);
      void loading.then(
        ({ bitmap }) => bitmap.close(),
        () => undefined,
      );
    }
  }
}

async function decoded(blob: Blob): Promise<Loaded> {
  const bitmap = await createImageBitmap(blob);
  return { bitmap, bytes: blob.size, mediaType: blob.type };
}
