import { ProblemError } from "../api/problem";
import type { Bias } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted, exactly, signed } from "../app/figures";
import type { SpanProps } from "./WorkPage";
import { bias } from "./calls";
import { biasInWords } from "./work";

const REFRESH_MS = 60_000;

export function BiasCard({ api, project, since }: SpanProps) {
  const asked = useAsked(() => bias(api, project.id, since).catch(tooFew), since, REFRESH_MS);
  const hidden = project.policy.queue.blind_share;
  return (
    <Card
      title="Automation bias"
      testid="bias"
      aside={<span className="muted small">predictions hidden in {exactly(hidden)} of tasks, drawn at random</span>}
    >
      <p className="muted">
        Whether people correct less where they are shown what the model predicts than where it is hidden from them.
      </p>
      <Fetched asked={asked} what="the comparison">
        {(found) =>
          "waits" in found ? (
            <p className="muted" data-testid="bias-waits">
              {found.waits}{" "}
              {hidden === 0 && (
                <>
                  The share is <code>queue.blind_share</code> in the policy.
                </>
              )}
            </p>
          ) : (
            <>
              <table className="figures">
                <thead>
                  <tr>
                    <th scope="col">Prediction</th>
                    <th scope="col">Answers</th>
                    <th scope="col">Corrections an answer</th>
                  </tr>
                </thead>
                <tbody>
                  <tr>
                    <th scope="row">hidden</th>
                    <td>{counted(found.hidden_tasks, "answer")}</td>
                    <td>{found.hidden.toFixed(2)}</td>
                  </tr>
                  <tr>
                    <th scope="row">shown</th>
                    <td>{counted(found.shown_tasks, "answer")}</td>
                    <td>{found.shown.toFixed(2)}</td>
                  </tr>
                  <tr className="total">
                    <th scope="row">difference (95 % interval)</th>
                    <td />
                    <td>
                      {signed(found.difference)} ({signed(found.low)} to {signed(found.high)})
                    </td>
                  </tr>
                </tbody>
              </table>
              <p data-testid="bias-verdict">{biasInWords(found)}</p>
            </>
          )
        }
      </Fetched>
    </Card>
  );
}

/** Too few answers to compare are no failure, but something to wait for. */
function tooFew(error: unknown): Bias | { readonly waits: string } {
  if (!(error instanceof ProblemError) || error.code !== "too-few-images") throw error;
  return { waits: `${error.problem.detail} ${error.problem.hint}` };
}
