import { useEffect } from "react";
import type { Notice } from "../review/session";

interface Props {
  readonly notice: Notice | null;
  readonly onDismiss: () => void;
}

const INFO_MS = 5_000;

/** One message at a time. Information goes by itself; an error stays until it is dismissed. */
export function Toast({ notice, onDismiss }: Props) {
  useEffect(() => {
    if (notice?.tone !== "info") return undefined;
    const timer = window.setTimeout(onDismiss, INFO_MS);
    return () => window.clearTimeout(timer);
  }, [notice, onDismiss]);
  return (
    <div className="toasts" aria-live="polite">
      {notice && (
        <div className={`toast ${notice.tone}`} data-testid="toast" role={notice.tone === "error" ? "alert" : "status"}>
          <div>
            <strong>{notice.title}</strong>
            {notice.detail && <p>{notice.detail}</p>}
            {notice.hint && <p className="muted">{notice.hint}</p>}
          </div>
          <button className="icon" aria-label="Dismiss" onClick={onDismiss}>
            ✕
          </button>
        </div>
      )}
    </div>
  );
}
