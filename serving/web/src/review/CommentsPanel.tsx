import { type FormEvent, type Ref, useState } from "react";
import type { Comment, CommentBody, CommentKind } from "../api/types";
import { type Described, describe } from "../api/problem";
import { ago } from "../app/format";
import { useNow } from "../app/hooks";
import type { Shape } from "./shapes";
import type { Commenting } from "./useComments";

const KINDS: readonly CommentKind[] = ["comment", "issue", "question"];

interface Props {
  readonly commenting: Commenting;
  readonly task: string;
  readonly selected: Shape | null;
  readonly field: Ref<HTMLTextAreaElement>;
  readonly onSelect: (shape: string) => void;
  readonly onProblem: (problem: Described) => void;
  readonly onLeave: () => void;
}

/** What people say to each other about this image; pinned to the selected shape, if there is one. */
export function CommentsPanel({ commenting, task, selected, field, onSelect, onProblem, onLeave }: Props) {
  const [text, setText] = useState("");
  const [kind, setKind] = useState<CommentKind>("comment");
  const now = useNow(30_000);
  const attempt = (work: Promise<void>, done: () => void = () => undefined) =>
    void work.then(done).catch((error: unknown) => onProblem(describe(error)));

  const send = (event?: FormEvent) => {
    event?.preventDefault();
    if (text.trim() === "") return;
    const place: Pick<CommentBody, "shape" | "at"> = selected ? { shape: selected.id, at: cornerOf(selected) } : {};
    attempt(commenting.say({ text: text.trim(), kind, task_id: task, ...place }), () => {
      setText("");
      onLeave();
    });
  };

  return (
    <section className="panel" aria-label="Comments" data-testid="comments">
      <h2>
        Comments <span className="muted">{commenting.comments.length}</span>
      </h2>
      <ul className="comments">
        {commenting.comments.map((comment, index) => (
          <One
            key={comment.id}
            comment={comment}
            number={index + 1}
            now={now}
            onSelect={onSelect}
            onReply={(words) => attempt(commenting.reply(comment.id, words))}
            onSettle={() => attempt(commenting.settle(comment))}
          />
        ))}
      </ul>
      <form className="comment-form" onSubmit={send}>
        <textarea
          ref={field}
          data-testid="comment-text"
          rows={2}
          maxLength={4000}
          aria-label={selected ? `Comment on the selected ${selected.label}` : "Comment on this image"}
          placeholder={selected ? `About this ${selected.label}  C` : "About this image  C"}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") onLeave();
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
          }}
        />
        <div className="row">
          <select aria-label="Kind" value={kind} onChange={(event) => setKind(event.target.value as CommentKind)}>
            {KINDS.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
          <button disabled={text.trim() === ""}>
            Send <kbd>Ctrl Enter</kbd>
          </button>
        </div>
      </form>
    </section>
  );
}

const cornerOf = (shape: Shape): [number, number] => [shape.box[0], shape.box[1]];

interface OneProps {
  readonly comment: Comment;
  readonly number: number;
  readonly now: number;
  readonly onSelect: (shape: string) => void;
  readonly onReply: (text: string) => void;
  readonly onSettle: () => void;
}

function One({ comment, number, now, onSelect, onReply, onSettle }: OneProps) {
  const [text, setText] = useState("");
  const reply = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim() === "") return;
    onReply(text.trim());
    setText("");
  };
  const { author, kind, shape, state } = comment;
  return (
    <li className={state === "open" ? "comment" : "comment resolved"}>
      <div className="row">
        <button className="link grow" disabled={shape === null} onClick={() => shape !== null && onSelect(shape)}>
          {number} · {author}
        </button>
        <span className={kind === "issue" ? "badge bad" : "badge"}>{kind}</span>
        <span className="muted small">{ago(comment.created_at, now)}</span>
      </div>
      <p className="said">{comment.text}</p>
      {comment.replies.map((one) => (
        <p key={one.id} className="said reply">
          <span className="muted">{one.author}:</span> {one.text}
        </p>
      ))}
      <form className="row" onSubmit={reply}>
        <input
          aria-label={`Reply to ${author}`}
          placeholder="Reply"
          maxLength={4000}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <button type="button" className="quiet" onClick={onSettle}>
          {state === "open" ? "Resolve" : "Reopen"}
        </button>
      </form>
    </li>
  );
}
