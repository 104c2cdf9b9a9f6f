interface Props {
  /** Its id. */
  readonly project: string;
}

/** What to do with a project that has no model: nothing is wrong with it. */
export function FirstSteps({ project }: Props) {
  return (
    <div className="first-steps" data-testid="first-steps">
      <p>
        <strong>{project}</strong> has no model yet. An operator begins in one of two ways:
      </p>
      <ul>
        <li>
          With a model, which then predicts what is sent: <code>askance models add WEIGHTS --project {project}</code>
        </li>
        <li>
          Without one, by asking people first: <code>askance items add FOLDER --project {project}</code>, then{" "}
          <code>askance select --project {project} --budget 50</code>. A cycle trains the first model on their answers
          (docs/tutorial-cold-start.md).
        </li>
      </ul>
    </div>
  );
}
