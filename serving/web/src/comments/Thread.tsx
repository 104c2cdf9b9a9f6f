import { type FormEvent, useState } from "react";
import type { Comment } from "../api/types";
import { ago, short } from "../app/format";
import { Thumbnail } from "../map/Thumbnail";
import type { Items } from "../map/items";
import "./comments.css";

interface Props {
  readonly comment: Comment;
  readonly images: Items;
  readonly now: number;
  readonly onSettle: () => void;
  /** Whether it was sent. */
  readonly onReply: (text: string) => Promise<boolean>;
}

const TONES = { issue: "bad", question: "warn", comment: "" } as const;

export function Thread({ comment, images, now, onSettle, onReply }: Props) {
  const { author, kind, state, shape, at, item_digest } = comment;
  const [text, setText] = useState("");
  const reply = async (event: FormEvent) => {
    event.preventDefault();
    if (text.trim() !== "" && (await onReply(text.trim()))) setText("");
  };
  return (
    <li className="thread" data-testid={`thread-${comment.id}`}>
      <span className="picture">
        <Thumbnail items={images} digest={item_digest} alt={`Item ${short(item_digest)}`} />
      </span>
      <div className="grow">
        <div className="row">
          <strong>{author}</strong>
          <span className={`badge ${TONES[kind]}`}>{kind}</span>
          <span className="muted small">{ago(comment.created_at, now)}</span>
          <span className="grow" />
          <span className="muted small">
            <code title={item_digest}>{short(item_digest)}</code>
          </span>
        </div>
        <p className="said">{comment.text}</p>
        {(shape !== null || at !== null) && (
          <p className="muted small">
            {shape !== null && `on shape ${shape} `}
            {at !== null && `at x ${Math.round(at[0])} px, y ${Math.round(at[1])} px`}
          </p>
        )}
        {comment.replies.map((one) => (
          <p key={one.id} className="said reply">
            <span className="muted">{one.author}:</span> {one.text}
          </p>
        ))}
        {comment.resolved_by !== null && comment.resolved_at !== null && (
          <p className="muted small">
            Resolved by {comment.resolved_by}, {ago(comment.resolved_at, now)}
          </p>
        )}
        <form className="row" onSubmit={(event) => void reply(event)}>
          <input
            aria-label={`Reply to ${author}`}
            placeholder="Reply"
            maxLength={4000}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <button disabled={text.trim() === ""}>Send</button>
          <button type="button" data-testid="settle" onClick={onSettle}>
            {state === "open" ? "Resolve" : "Re-open"}
          </button>
        </form>
      </div>
    </li>
  );
}
