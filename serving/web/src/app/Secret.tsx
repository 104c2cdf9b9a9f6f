import { describe } from "../api/problem";
import type { Notice } from "../review/session";

interface Props {
  readonly secret: string;
  readonly notify: (notice: Notice) => void;
}

/** What is shown once, with a button that copies it. */
export function Secret({ secret, notify }: Props) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
      notify({ tone: "info", title: "Copied", detail: "", hint: "" });
    } catch (error) {
      notify({ tone: "error", ...describe(error), hint: "Select it and copy it by hand." });
    }
  };
  return (
    <div className="shown-once">
      <code className="secret" data-testid="secret">
        {secret}
      </code>
      <button type="button" data-first onClick={() => void copy()}>
        Copy
      </button>
    </div>
  );
}
