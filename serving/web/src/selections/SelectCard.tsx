import { useRef, useState } from "react";
import { type Described, ProblemError, describe } from "../api/problem";
import type { Selection, SelectionBody } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { ProblemNote } from "../app/ProblemNote";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { count } from "../app/format";
import type { ViewProps } from "../app/view";
import { Misread } from "../items/Misread";
import { type BadQuery, badQueryOf, selectedInWords } from "../items/queries";
import type { Items } from "../map/items";
import { PickGallery } from "./PickGallery";
import { WishForm } from "./WishForm";
import { strategies } from "./calls";
import { type Wish, bodyOf, choicesOf, mixInWords } from "./wish";

const RARELY_MS = 3_600_000; // they change with the service's settings alone

interface Props extends Pick<ViewProps, "api" | "project" | "notify" | "onPlace"> {
  readonly images: Items;
  readonly wish: Wish;
  readonly onWish: (wish: Wish) => void;
}

/** What a wish would choose; `body`: that it was asked with, its seed too, so that the same is chosen again. */
interface Shown {
  readonly body: SelectionBody;
  readonly would: Selection;
}

/** Says what is wanted, shows what would be chosen, and only then makes tasks. */
export function SelectCard({ api, project, notify, onPlace, images, wish, onWish }: Props) {
  const known = useAsked(() => strategies(api), "strategies", RARELY_MS);
  const [shown, setShown] = useState<Shown | null>(null);
  const [busy, setBusy] = useState<"choosing" | "queueing" | null>(null);
  const [refused, setRefused] = useState<Described | BadQuery | null>(null);
  const newest = useRef(0); // an answer to what was asked before something was changed is dropped

  const change = (next: Wish) => {
    newest.current += 1;
    onWish(next);
    setShown(null);
    setRefused(null);
    setBusy(null);
  };

  const look = async () => {
    const body = bodyOf(wish);
    if (typeof body === "string") return setRefused({ title: "It cannot be asked for", detail: body, hint: "" });
    const number = (newest.current += 1);
    setBusy("choosing");
    setRefused(null);
    try {
      const would = await api.select(project.id, { ...body, dry_run: true });
      if (number === newest.current) setShown({ body: { ...body, seed: would.seed }, would });
    } catch (error) {
      if (number !== newest.current) return;
      setShown(null);
      setRefused((error instanceof ProblemError && badQueryOf(error.problem)) || describe(error));
    }
    if (number === newest.current) setBusy(null);
  };

  const queue = async ({ body }: Shown) => {
    setBusy("queueing");
    try {
      const made = await api.select(project.id, body);
      notify({ tone: "info", ...selectedInWords(made) });
      onPlace(made.id);
    } catch (error) {
      setRefused(describe(error));
      setBusy(null);
    }
  };

  const bad = refused !== null && "position" in refused ? refused : null;
  const problem = refused !== null && !("position" in refused) ? refused : null;
  return (
    <Card title="Ask people for images" testid="select">
      <p className="muted">
        Chosen among the images that {project.champion_id === null ? "there are" : "the champion has predicted"} and
        nobody has looked at. Nothing is queued before you have seen what would be.
      </p>
      <Fetched asked={known} what="the strategies">
        {(told) => (
          <WishForm
            wish={wish}
            choices={choicesOf(told, project.champion_id !== null)}
            busy={busy !== null}
            onWish={change}
            onLook={() => void look()}
          />
        )}
      </Fetched>
      {busy === "choosing" && (
        <p className="muted" role="status">
          Choosing… all that could be chosen is read for it.
        </p>
      )}
      {bad &&
        (bad.position === null ? (
          <ProblemNote problem={{ title: "The query cannot be used", ...bad }} testid="select-refused" />
        ) : (
          <Misread query={wish.query.trim()} bad={bad} />
        ))}
      {problem && <ProblemNote problem={problem} testid="select-refused" />}
      {shown && <Preview shown={shown} images={images} queueing={busy === "queueing"} onQueue={() => void queue(shown)} />}
    </Card>
  );
}

interface PreviewProps {
  readonly shown: Shown;
  readonly images: Items;
  readonly queueing: boolean;
  readonly onQueue: () => void;
}

function Preview({ shown: { would }, images, queueing, onQueue }: PreviewProps) {
  const { picks, pool, mix, notes = [] } = would;
  return (
    <section className="would" aria-label="What would be queued" data-testid="would">
      <div className="chooser">
        <strong>
          {counted(picks.length, "image")} of {count(pool)} would be queued
        </strong>
        <span className="muted">{mixInWords(mix)}</span>
        <span className="grow" />
        <button
          className="primary"
          data-testid="queue-picks"
          disabled={queueing || picks.length === 0}
          onClick={onQueue}
        >
          {queueing ? "Queueing…" : picks.length === 1 ? "Queue it" : `Queue these ${count(picks.length)}`}
        </button>
      </div>
      {notes.map((note) => (
        <p key={note} className="callout">
          {note}
        </p>
      ))}
      <PickGallery picks={picks} images={images} />
    </section>
  );
}
