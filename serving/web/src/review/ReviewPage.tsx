/** The reviewer's screen: the image with its boxes, the list, the labels, and what keys do. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { Project } from "../api/types";
import { ActionBar } from "./ActionBar";
import { Banner } from "./Banner";
import { Canvas, type CanvasHandle } from "./Canvas";
import { EmptyQueue } from "./EmptyQueue";
import { Facts } from "./Facts";
import { HelpOverlay } from "./HelpOverlay";
import { LabelPalette } from "./LabelPalette";
import { ShapeList } from "./ShapeList";
import { SkipDialog } from "./SkipDialog";
import { Toolbar } from "./Toolbar";
import { paletteOf } from "./colors";
import { type Edit, selectedOf, shapesOf } from "./editor";
import { type Box, grown, middleBox, moved, stretched } from "./geometry";
import type { Images } from "./images";
import { type Command, commandOf } from "./keymap";
import type { Current, ReviewSession, ReviewState } from "./session";
import { useImage } from "./useImage";

interface Props {
  readonly project: Project;
  readonly session: ReviewSession;
  readonly state: ReviewState;
  readonly images: Images;
}

export function ReviewPage({ project, session, state, images }: Props) {
  if (state.current)
    return <Workspace project={project} session={session} state={state} current={state.current} images={images} />;
  return <EmptyQueue state={state} onCheck={() => session.hurry()} />;
}

function Workspace({ project, session, state, current, images }: Props & { readonly current: Current }) {
  const { labels, guidelines } = project.recipe;
  const palette = paletteOf(labels);
  const { editor, task, lost } = current;
  const { loaded, problem, again } = useImage(images, task, state.next);

  const [drawing, setDrawing] = useState(false);
  const [hidden, setHidden] = useState(false);
  const [skipping, setSkipping] = useState(false);
  const [helping, setHelping] = useState(false);
  const [hover, setHover] = useState<string | null>(null);
  const [drawLabel, setDrawLabel] = useState(labels[0]?.name ?? "");
  const [readyTask, setReadyTask] = useState<string | null>(null);
  const canvas = useRef<CanvasHandle>(null);
  const filter = useRef<HTMLInputElement>(null);
  const tabLeaves = useRef(false);

  const shapes = shapesOf(editor);
  const selected = selectedOf(editor);
  const unknown = [...new Set(shapes.map((shape) => shape.label).filter((label) => !palette.has(label)))];
  const answerable = lost === null && readyTask === task.id && unknown.length === 0;

  // Every task begins with its boxes in sight, nothing half-drawn, and the keys going to the image.
  useEffect(() => {
    setDrawing(false);
    setHidden(false);
    setSkipping(false);
    setHover(null);
    canvas.current?.focus();
  }, [task.id]);

  const edit = useCallback((change: Edit) => session.edit(change), [session]);

  const pickLabel = (name: string) => {
    if (selected && !drawing) edit({ type: "relabel", id: selected.id, label: name });
    else setDrawLabel(name);
  };

  const add = (box: Box) => {
    edit({ type: "add", label: drawLabel, box });
    setDrawing(false);
    setHidden(false);
  };

  const startDrawing = () => {
    edit({ type: "select", id: null });
    setHidden(false);
    setDrawing(true);
  };

  const reshape = (tag: string, change: (box: Box) => Box) => {
    if (!selected || hidden) return;
    const box = change(selected.box);
    edit({ type: "reshape", id: selected.id, box, tag });
    canvas.current?.show(box);
  };

  const submit = () => {
    if (drawing && canvas.current) add(middleBox(canvas.current.seen(), editor.image));
    else if (answerable) session.submit();
  };

  const escape = () => {
    tabLeaves.current = !drawing && editor.selected === null;
    if (drawing) setDrawing(false);
    else edit({ type: "select", id: null });
  };

  const cycle = (by: 1 | -1): boolean => {
    if (tabLeaves.current || shapes.length === 0) return false;
    edit({ type: "cycle", by });
    const next = selectedOf(session.snapshot().current?.editor ?? editor);
    if (next) canvas.current?.show(next.box);
    return true;
  };

  /** False where the key keeps its usual meaning. */
  const run = (command: Command): boolean => {
    const image = editor.image;
    switch (command.type) {
      case "label":
        pickLabel(command.name);
        return true;
      case "find-label":
        filter.current?.focus();
        return filter.current !== null;
      case "draw":
        startDrawing();
        return true;
      case "cycle":
        return cycle(command.by);
      case "nudge":
        reshape("move", (box) => moved(box, command.dx, command.dy, image));
        return true;
      case "stretch":
        reshape("stretch", (box) => stretched(box, command.dx, command.dy, image));
        return true;
      case "grow":
        reshape("grow", (box) => grown(box, command.by, image));
        return true;
      case "remove":
        if (selected) edit({ type: "remove", id: selected.id });
        return true;
      case "undo":
      case "redo":
        edit({ type: command.type });
        return true;
      case "submit":
        submit();
        return true;
      case "skip":
        if (!lost) setSkipping(true);
        return true;
      case "hide":
        setHidden((now) => !now);
        return true;
      case "fit":
        canvas.current?.fit();
        return true;
      case "zoom":
        canvas.current?.zoom(command.factor);
        return true;
      case "help":
        setHelping(true);
        return true;
      case "escape":
        escape();
        return true;
    }
  };

  useKeys((event) => {
    const command = commandOf(event, labels);
    if (command?.type !== "cycle" && command?.type !== "escape" && event.key !== "Shift") tabLeaves.current = false;
    if (command?.type === "cycle" && !onCanvas(event.target)) return;
    if (command && run(command)) event.preventDefault();
  });

  const closeDialog = (close: () => void) => () => {
    close();
    canvas.current?.focus();
  };

  return (
    <div className="review">
      <section className="stage" aria-label="Image">
        <Banner current={current} session={session} imageProblem={problem} onReloadImage={again} />
        <div className="view">
          <Canvas
            handle={canvas}
            taskId={task.id}
            editor={editor}
            loaded={loaded}
            palette={palette}
            drawLabel={drawLabel}
            drawing={drawing}
            hidden={hidden}
            hover={hover}
            onHover={setHover}
            onEdit={edit}
            onDrawn={add}
            onReady={setReadyTask}
          />
          {!loaded && !problem && <div className="stage-message muted">Loading the image…</div>}
          {drawing && (
            <div className="hint" role="status">
              Drawing <strong>{drawLabel}</strong>: drag on the image, or <kbd>Enter</kbd> for a box in the middle ·{" "}
              <kbd>Esc</kbd> to stop
            </div>
          )}
          {hidden && (
            <div className="hint" role="status">
              Boxes are hidden · <kbd>H</kbd> shows them
            </div>
          )}
          <Toolbar
            history={editor.shapes}
            drawing={drawing}
            hidden={hidden}
            onCommand={(command) => {
              run(command);
              if (command.type !== "help") canvas.current?.focus();
            }}
          />
        </div>
      </section>
      <aside className="side">
        <div className="panels">
          <section className="panel">
            <h2>
              {selected && !drawing ? "Relabel as" : "Label to draw"}
              <span className="muted">{selected && !drawing ? "selected box" : drawLabel}</span>
            </h2>
            <LabelPalette
              labels={labels}
              palette={palette}
              current={drawLabel}
              selected={drawing ? null : (selected?.label ?? null)}
              onPick={pickLabel}
              filter={filter}
              onLeave={() => canvas.current?.focus()}
            />
          </section>
          <section className="panel grow">
            <h2>
              Boxes <span className="muted">{shapes.length}</span>
            </h2>
            <ShapeList
              editor={editor}
              labels={labels}
              palette={palette}
              hover={hover}
              onHover={setHover}
              onEdit={edit}
            />
          </section>
          {guidelines.trim() !== "" && (
            <details className="panel" open>
              <summary>Guidelines</summary>
              <p className="guidelines">{guidelines}</p>
            </details>
          )}
          {task.reason && (
            <p className="panel reason" data-testid="reason">
              {task.reason}
            </p>
          )}
          <details className="panel">
            <summary>Image and note{current.note !== "" && <span className="badge">note</span>}</summary>
            <Facts task={task} loaded={loaded} note={current.note} onNote={(note) => session.setNote(note)} />
          </details>
        </div>
        <ActionBar
          boxes={shapes.length}
          unknown={unknown}
          answerable={answerable}
          skippable={lost === null}
          onSubmit={() => {
            if (answerable) session.submit();
          }}
          onSkip={() => setSkipping(true)}
        />
      </aside>
      {skipping && (
        <SkipDialog
          onClose={closeDialog(() => setSkipping(false))}
          onSkip={(reason) => {
            setSkipping(false);
            session.skip(reason);
          }}
        />
      )}
      {helping && <HelpOverlay labels={labels} onClose={closeDialog(() => setHelping(false))} />}
    </div>
  );
}

const onCanvas = (target: EventTarget | null): boolean =>
  target === document.body || (target instanceof HTMLElement && target.closest(".canvas") !== null);

/** Keys of the whole page, unless they are meant for a field, a button or a dialog. */
function useKeys(onKey: (event: KeyboardEvent) => void): void {
  const latest = useRef(onKey);
  latest.current = onKey;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || meantElsewhere(event)) return;
      latest.current(event);
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
}

function meantElsewhere(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("input, textarea, select, dialog")) return true;
  const presses = event.key === "Enter" || event.key === " " || event.key === "Tab";
  return presses && target.closest("button, a, summary") !== null;
}
