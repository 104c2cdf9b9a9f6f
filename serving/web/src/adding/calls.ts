import { type Api, at } from "../api/client";
import { type Described, ProblemError } from "../api/problem";
import type { Collected, Prediction } from "../api/types";
import type { Picture, Treatment } from "./adding";
import type { Send } from "./upload";

const TIMEOUT_MS = 180_000; // a large picture over a slow line

interface How {
  readonly source: string;
  readonly treatment: Treatment;
}

/** Keeps the picture first, whatever the policy keeps of what is accepted; then, where that is wanted, has it predicted
 *  unless it was before. */
export const sendingTo =
  (api: Api, project: string, { source, treatment }: How): Send =>
  async (picture, persist, signal) => {
    const content = await contentOf(picture);
    const post = <T>(path: string, about: Record<string, string>) =>
      persist(() =>
        api.json<T>("POST", at(project, `${path}?${new URLSearchParams(about)}`), content, {
          signal,
          timeoutMs: TIMEOUT_MS,
        }),
      );
    const { digest, new: isNew } = await post<Collected>("/items", { source, path: picture.path });
    const kept = { digest, isNew, predicted: false, routed: false };
    if (treatment === "keep") return kept;
    if (!isNew && (await persist(() => api.item(project, digest))).prediction !== null) return kept;
    const { task_id: task } = await post<Prediction>("/predictions", { source });
    return { ...kept, predicted: true, routed: task !== null };
  };

/** Raises ProblemError for a file that is not there any more. */
async function contentOf({ file }: Picture): Promise<Blob> {
  try {
    return new Blob([await file.arrayBuffer()], { type: file.type });
  } catch {
    throw new ProblemError({ type: "/problems/unreadable", status: 400, ids: {}, ...UNREADABLE });
  }
}

const UNREADABLE: Described = {
  title: "The file cannot be read",
  detail: "It was moved, changed or removed since it was chosen.",
  hint: "Choose it again.",
};
