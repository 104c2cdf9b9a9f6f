import type { ProjectEvent } from "../api/types";
import { ago } from "../app/format";
import { aboutOf } from "./about";

const SHOWN = 12;

/** What happened last, newest first. */
export function Activity({ events, now }: { readonly events: readonly ProjectEvent[]; readonly now: number }) {
  return (
    <section className="card" aria-label="Activity" data-testid="activity">
      <header>
        <h2>Activity</h2>
      </header>
      {events.length === 0 && <p className="muted">Nothing has happened yet.</p>}
      <ul className="lines">
        {events.slice(0, SHOWN).map((event) => (
          <li key={event.sequence}>
            <span className={`kind ${event.kind.split(".")[0] ?? ""}`}>{event.kind.replace(/[._]/g, " ")}</span>
            <span className="grow muted small ellipsis">{aboutOf(event.body)}</span>
            <span className="muted small">{ago(event.at, now)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
