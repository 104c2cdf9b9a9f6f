/** Images loaded ahead and decoded off the main thread, so that the next item shows at once. */
import type { Task } from "../api/types";

/** Whatever names an image: a task, or a frame of a clip. */
export type Picture = Pick<Task, "item_digest" | "image_url">;

export interface Loaded {
  readonly bitmap: ImageBitmap;
  readonly bytes: number;
  readonly mediaType: string;
}

export class Images {
  private readonly loading = new Map<string, Promise<Loaded>>();

  constructor(private readonly fetchBlob: (picture: Picture) => Promise<Blob>) {}

  /** The image; a failed load is forgotten, so that asking again tries again. */
  load(picture: Picture): Promise<Loaded> {
    const known = this.loading.get(picture.item_digest);
    if (known) return known;
    const loading = this.fetchBlob(picture).then(decoded);
    this.loading.set(picture.item_digest, loading);
    loading.catch(() => {
      if (this.loading.get(picture.item_digest) === loading) this.loading.delete(picture.item_digest);
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
