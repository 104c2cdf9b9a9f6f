import { useEffect, useRef } from "react";
import { percent } from "../app/format";
import { Canvas, type CanvasHandle } from "./Canvas";
import type { Palette } from "./colors";
import { opened } from "./editor";
import type { Images } from "./images";
import type { Feedback } from "./session";
import { shapesFrom } from "./shapes";
import { useImage } from "./useImage";

const RIGHT = { color: "#4cc38a", dash: [8, 4] } as const;
const NOTHING = () => undefined;

interface Props {
  readonly feedback: Feedback;
  readonly palette: Palette;
  readonly images: Images;
  readonly onNext: () => void;
}

/** In training, after an answer: what would have been right, over what was said. */
export function FeedbackView({ feedback, palette, images, onNext }: Props) {
  const { task, mine, golden } = feedback;
  const { loaded } = useImage(images, task, null);
  const canvas = useRef<CanvasHandle>(null);
  const next = useRef<HTMLButtonElement>(null);
  useEffect(() => next.current?.focus(), []);
  const perfect = golden.precision === 1 && golden.recall === 1;
  const right = { key: "golden", answer: null, shapes: shapesFrom(golden.shapes, task), ...RIGHT };
  return (
    <div className="review" data-testid="feedback">
      <section className="stage" aria-label="Image">
        <div className="view">
          <Canvas
            handle={canvas}
            taskId={`${task.id} feedback`}
            editor={opened(task, mine)}
            shapes={mine}
            overlays={[right]}
            pins={new Map()}
            spots={[]}
            targets={null}
            geometry="point"
            path={null}
            loaded={loaded}
            palette={palette}
            drawLabel=""
            drawing={false}
            hidden={false}
            hover={null}
            onHover={NOTHING}
            onEdit={NOTHING}
            onDrawn={NOTHING}
            onPath={NOTHING}
            onPick={NOTHING}
            onTarget={NOTHING}
            onReady={NOTHING}
          />
        </div>
      </section>
      <aside className="side">
        <div className="panels">
          <section className="panel" role="status">
            <h2>
              {perfect ? "Right" : "Not quite"}
              <span className={perfect ? "badge good" : "badge warn"}>training</span>
            </h2>
            <dl className="facts">
              <dt>Of your shapes, right</dt>
              <dd>{percent(golden.precision)}</dd>
              <dt>Of the right ones, found</dt>
              <dd>{percent(golden.recall)}</dd>
            </dl>
            <p className="muted">
              <svg viewBox="0 0 28 8" className="swatch" aria-hidden="true">
                <path d="M0 4h28" stroke={RIGHT.color} strokeDasharray={RIGHT.dash.join(" ")} strokeWidth="3" />
              </svg>{" "}
              dashed green: the right answer; the rest is yours.
            </p>
          </section>
        </div>
        <div className="actions">
          <button ref={next} className="primary" data-testid="feedback-next" onClick={onNext}>
            Next <kbd>Enter</kbd>
          </button>
        </div>
      </aside>
    </div>
  );
}
