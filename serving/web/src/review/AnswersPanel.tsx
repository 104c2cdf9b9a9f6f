import type { PersonsAnswer } from "./beginning";
import { answerStyle } from "./answerStyles";
import type { Palette } from "./colors";
import { colorOf } from "./colors";
import type { Shape } from "./shapes";

interface Props {
  /** `seen`: of its shapes those of this image or frame. */
  readonly answers: readonly (PersonsAnswer & { readonly seen: readonly Shape[] })[];
  readonly shown: ReadonlySet<number>;
  readonly palette: Palette;
  readonly onToggle: (number: number) => void;
  readonly onTakeAll: (number: number) => void;
  readonly onTake: (shape: Shape, answer: number) => void;
  readonly onHover: (shape: Shape | null) => void;
}

/** The answers between which to decide: each shown or not, taken whole or shape by shape. */
export function AnswersPanel({ answers, shown, palette, onToggle, onTakeAll, onTake, onHover }: Props) {
  return (
    <section className="panel" aria-label="Answers" data-testid="answers">
      <h2>
        Answers <span className="muted">click a shape of theirs to take it</span>
      </h2>
      {answers.map((answer) => {
        const style = answerStyle(answer.number);
        return (
          <div key={answer.number} className="answer">
            <div className="row">
              <label className="check grow">
                <input
                  type="checkbox"
                  checked={shown.has(answer.number)}
                  data-testid={`answer-${answer.number}`}
                  onChange={() => onToggle(answer.number)}
                />
                <svg viewBox="0 0 28 8" className="swatch" aria-hidden="true">
                  <path d="M0 4h28" stroke={style.color} strokeDasharray={style.dash.join(" ")} strokeWidth="3" />
                </svg>
                Person {answer.number} <span className="muted">{answer.seen.length}</span>
                {answer.number <= 9 && <kbd title="Show or hide">⇧{answer.number}</kbd>}
              </label>
              <button
                data-testid={`take-all-${answer.number}`}
                title={`All of this answer instead of what is there (Alt Shift ${answer.number})`}
                onClick={() => onTakeAll(answer.number)}
              >
                Take all
              </button>
            </div>
            {answer.note && <p className="muted small">“{answer.note}”</p>}
            {shown.has(answer.number) && (
              <ul className="offered">
                {answer.seen.map((shape) => (
                  <li key={shape.id}>
                    <button
                      className="quiet"
                      title={shape.track === null ? "Take this shape" : "Take this object, in all its frames"}
                      onClick={() => onTake(shape, answer.number)}
                      onMouseEnter={() => onHover(shape)}
                      onMouseLeave={() => onHover(null)}
                      onFocus={() => onHover(shape)}
                      onBlur={() => onHover(null)}
                    >
                      <span className="dot" style={{ background: colorOf(palette, shape.label) }} />
                      {shape.label}
                    </button>
                  </li>
                ))}
              </ul>
            )}
          </div>
        );
      })}
    </section>
  );
}
