/** What people asked and reported of a project's items: read, answered, resolved. For operators. */
import { useState } from "react";
import type { Comment, CommentKind } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { acting } from "../app/act";
import { usePages } from "../app/asked";
import "../app/cards.css";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { useItems } from "../map/items";
import { Thread } from "./Thread";
import { commentsAfter } from "./calls";

const REFRESH_MS = 10_000;
const KINDS: Record<CommentKind | "all", string> = {
  all: "all kinds",
  question: "questions about the guidelines",
  issue: "issues: something is wrong",
  comment: "comments",
};

export default function CommentsPage({ api, project, notify }: ViewProps) {
  const [state, setState] = useState<Comment["state"]>("open");
  const [kind, setKind] = useState<CommentKind | "all">("all");
  const images = useItems(api, project.id);
  const now = useNow(30_000);
  const only = { state, kind: kind === "all" ? null : kind };
  const asked = usePages(
    async (after) => {
      const page = await commentsAfter(api, project.id, only, after);
      return { rows: page.comments, next: page.next };
    },
    `${project.id}/${state}/${kind}`,
    REFRESH_MS,
  );
  const act = acting(notify, asked.refresh);
  const settle = (comment: Comment) =>
    comment.state === "open"
      ? act(api.resolve(comment.id), "Resolved", "It is under “resolved” from now on.")
      : act(api.reopen(comment.id), "Open again", "");
  return (
    <div className="overview">
      <Card
        title="Comments"
        testid="comments-inbox"
        aside={
          <>
            <span className="grow" />
            <select
              aria-label="State"
              data-testid="comments-state"
              value={state}
              onChange={(event) => setState(event.target.value as Comment["state"])}
            >
              <option value="open">open</option>
              <option value="resolved">resolved</option>
            </select>
            <select
              aria-label="Kind"
              data-testid="comments-kind"
              value={kind}
              onChange={(event) => setKind(event.target.value as CommentKind | "all")}
            >
              {Object.entries(KINDS).map(([name, words]) => (
                <option key={name} value={name}>
                  {words}
                </option>
              ))}
            </select>
          </>
        }
      >
        <Fetched asked={asked} what="the comments">
          {({ rows, next }) =>
            rows.length === 0 ? (
              <p className="muted">
                {state === "open" ? "Nothing is open. " : "Nothing was resolved. "}
                Reviewers write comments beside the image they work on.
              </p>
            ) : (
              <>
                <ul className="threads">
                  {rows.map((comment) => (
                    <Thread
                      key={comment.id}
                      comment={comment}
                      images={images}
                      now={now}
                      onSettle={() => void settle(comment)}
                      onReply={(text) => act(api.reply(comment.id, text), "Sent", "Who asked reads it at the image.")}
                    />
                  ))}
                </ul>
                {next !== null && <button onClick={asked.more}>Show older ones</button>}
              </>
            )
          }
        </Fetched>
      </Card>
    </div>
  );
}
