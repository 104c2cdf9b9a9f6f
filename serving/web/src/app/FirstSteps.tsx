import { ADD } from "../adding/adding";
import { fragmentOf } from "../session/route";

interface Props {
  /** Its id. */
  readonly project: string;
  /** Whether who looks at it may do it. */
  readonly operates: boolean;
  /** Known where more is shown of the project than its tasks. */
  readonly known?: Known;
}

export interface Known {
  /** Whether the gate refused what the newest cycle trained. */
  readonly refused: boolean;
  /** Whether there are models, of which none serves. */
  readonly models: boolean;
  /** Starts a cycle; null where there is no ground truth to train on. */
  readonly onStart: (() => void) | null;
}

const UNKNOWN: Known = { refused: false, models: false, onStart: null };

/** What to do with a project that no model serves: nothing is wrong with it. */
export function FirstSteps({ project, operates, known = UNKNOWN }: Props) {
  const { refused, models, onStart } = known;
  return (
    <div className="first-steps" data-testid="first-steps">
      <p>
        No model serves <strong>{project}</strong> yet
        {refused && ": the gate refused what the newest cycle trained"}.{" "}
        {operates ? "Go on" : "An operator goes on"} in one of these ways:
      </p>
      <ul>
        {onStart && (
          <li>
            There is ground truth to train on:{" "}
            <button className="link" data-testid="first-cycle" onClick={onStart}>
              {refused ? "start another cycle" : "start a cycle"}
            </button>
            . What it trains serves if the gate passes it{refused && "; more ground truth may help"}.
          </li>
        )}
        {models && <li>With a model that is here already: promote it at Models, in your name.</li>}
        <li>
          With a model, which then predicts what is sent: <code>askance models add WEIGHTS --project {project}</code>
        </li>
        <li>
          Without one, by asking people first:{" "}
          {operates && (
            <>
              <a href={fragmentOf(project, "items", ADD)} data-testid="add-first-images">
                add images here
              </a>{" "}
              and ask for labels at Items, or{" "}
            </>
          )}
          <code>askance items add FOLDER --project {project}</code>, then{" "}
          <code>askance select --project {project} --budget 50</code>. A cycle trains the first model on their answers
          (docs/tutorial-cold-start.md).
        </li>
      </ul>
    </div>
  );
}
