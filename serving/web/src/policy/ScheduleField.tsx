import { useId, useState } from "react";
import {
  DAYS,
  SCHEDULE,
  type Schedule,
  knownZones,
  problemWithSchedule,
  scheduleInWords,
  timeThere,
  toggledDay,
  zoneHere,
} from "./schedule";

interface Props {
  readonly schedule: Schedule | null;
  /** Of the schedule that is saved; null where this is another. */
  readonly times: readonly string[] | null;
  /** What the service said of this one. */
  readonly refused: string | null;
  readonly onChange: (schedule: Schedule | null) => void;
}

/** Times of the clock at which a cycle may begin; without a time there are none. */
export function ScheduleField({ schedule, times, refused, onChange }: Props) {
  const [left, setLeft] = useState<Schedule>({ at: "", days: [], zone: zoneHere() }); // stays as the time is typed anew
  const [about, zones] = [useId(), useId()];
  const shown = schedule ?? { ...left, at: "" };
  const problem = problemWithSchedule(schedule) ?? refused;
  const change = (part: Partial<Schedule>) => {
    const next = { ...shown, ...part };
    setLeft(next);
    onChange(next.at === "" ? null : next);
  };
  return (
    <section aria-label={SCHEDULE} aria-describedby={about}>
      <h3>{SCHEDULE}</h3>
      <div className="setting schedule" title="schedule">
        <label>
          Time
          <input
            data-testid="setting-schedule.at"
            inputMode="numeric"
            autoComplete="off"
            placeholder="never"
            aria-invalid={problem !== null}
            value={shown.at}
            onChange={({ target: { value } }) => change({ at: value.trim() })}
          />
        </label>
        {schedule && (
          <>
            <label>
              Time zone
              <input
                data-testid="setting-schedule.zone"
                list={zones}
                autoComplete="off"
                aria-invalid={problem !== null}
                value={shown.zone}
                onChange={({ target: { value } }) => change({ zone: value.trim() })}
              />
            </label>
            <datalist id={zones}>
              {knownZones().map((zone) => (
                <option key={zone} value={zone} />
              ))}
            </datalist>
            <fieldset>
              <legend className="muted small">Only on; none: every day</legend>
              {Object.entries(DAYS).map(([day, name]) => (
                <label key={day}>
                  <input
                    type="checkbox"
                    data-testid={`schedule-${day}`}
                    checked={shown.days.includes(day)}
                    onChange={() => change({ days: toggledDay(shown.days, day) })}
                  />
                  {name}
                </label>
              ))}
            </fieldset>
          </>
        )}
        <p id={about} className="muted small">
          {problem ? (
            <span className="wrong" data-testid="schedule-refused">
              {problem}
            </span>
          ) : schedule ? (
            <span data-testid="schedule-told">
              {scheduleInWords(schedule)}.{" "}
              {times
                ? `Next: ${times.map((time) => timeThere(time, schedule.zone)).join("; ")}.`
                : "Its next times show once it is saved."}
            </span>
          ) : (
            "The project is looked at once at each of them; what does not hold then waits for the next."
          )}
        </p>
      </div>
    </section>
  );
}
