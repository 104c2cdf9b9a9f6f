import type { Frame } from "../api/types";
import { clock } from "../app/format";
import type { Shape } from "./shapes";

interface Props {
  readonly frames: readonly Frame[];
  readonly current: Frame;
  readonly shapes: readonly Shape[];
  readonly onShow: (index: number) => void;
}

/** The frames of a clip in their order; a bar tells those on which something is set. */
export function FrameStrip({ frames, current, shapes, onShow }: Props) {
  const set = new Map<number, number>();
  for (const { frame } of shapes) if (frame !== null) set.set(frame, (set.get(frame) ?? 0) + 1);
  return (
    <nav className="frames" aria-label="Frames" data-testid="frames">
      {frames.map((frame) => {
        const count = set.get(frame.index) ?? 0;
        return (
          <button
            key={frame.index}
            className={frame.index === current.index ? "frame current" : "frame"}
            aria-current={frame.index === current.index}
            aria-label={`Frame ${frame.index}, ${count} shapes`}
            title={frame.time === null ? `Frame ${frame.index}` : `Frame ${frame.index} at ${clock(frame.time)}`}
            data-testid={`frame-${frame.index}`}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => onShow(frame.index)}
          >
            {frame.index}
            <span className={count > 0 ? "has" : ""} />
          </button>
        );
      })}
      <span className="muted small">
        <kbd>,</kbd> <kbd>.</kbd>
      </span>
    </nav>
  );
}
