import { useCallback, useEffect, useState } from "react";
import type { Api } from "../api/client";
import type { Comment, CommentBody } from "../api/types";
import { ProblemError } from "../api/problem";

export interface Commenting {
  /** False where the service has no comments, or does not say them to this person. */
  readonly offered: boolean;
  readonly comments: readonly Comment[];
  /** Each of these throws what went wrong. */
  readonly say: (body: CommentBody) => Promise<void>;
  readonly reply: (comment: string, text: string) => Promise<void>;
  readonly settle: (comment: Comment) => Promise<void>;
}

/** Services that answered that they have no comments: they are not asked again until the page is loaded anew. */
const WITHOUT = new WeakSet<Api>();

/** The comments on one image. */
export function useComments(api: Api, project: string, digest: string): Commenting {
  const [known, setKnown] = useState<{ digest: string; comments: readonly Comment[] } | null>(null);
  const [offered, setOffered] = useState(false);

  const load = useCallback(async () => {
    const reply = await api.comments(project, digest);
    setKnown({ digest, comments: reply.comments });
    setOffered(true);
  }, [api, project, digest]);

  useEffect(() => {
    if (WITHOUT.has(api)) return;
    load().catch((error: unknown) => {
      if (!(error instanceof ProblemError) || (error.status !== 404 && error.status !== 403)) return;
      WITHOUT.add(api);
      setOffered(false);
    });
  }, [api, load]);

  const then = (work: Promise<unknown>): Promise<void> => work.then(load);
  return {
    offered,
    comments: known?.digest === digest ? known.comments : [],
    say: (body) => then(api.comment(project, digest, body)),
    reply: (comment, text) => then(api.reply(comment, text)),
    settle: (comment) => then(comment.state === "open" ? api.resolve(comment.id) : api.reopen(comment.id)),
  };
}
