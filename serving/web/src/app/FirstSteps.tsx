import { ADD } from "../adding/adding";
import { fragmentOf } from "../session/route";

interface Props {
  /** Its id. */
  readonly project: string;
  /** Whether who looks at it may do it. */
  readonly operates: boolean;
}

/** What to do with a project that has no model: nothing is wrong with it. */
export function FirstSteps({ project, operates }: Props) {
  return (
    <div className="first-steps" data-testid="first-steps">
      <p>
        <strong>{project}</strong> has no model yet. {operates ? "Begin" : "An operator begins"} in one of two ways:
      </p>
      <ul>
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
