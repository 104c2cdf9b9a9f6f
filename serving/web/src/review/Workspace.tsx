/** One task on screen: the image with its shapes, the panels beside it, and what keys do. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { Api } from "../api/client";
import type { Frame } from "../api/types";
import type { Task } from "../api/types";
import { ActionBar } from "./ActionBar";
import { Banner } from "./Banner";
import { CallerWaiting } from "./CallerWaiting";
import { Canvas, type CanvasHandle } from "./Canvas";
import { FrameStrip } from "./FrameStrip";
import { HelpOverlay } from "./HelpOverlay";
import { HandHint } from "./HandHint";
import { SidePanels } from "./SidePanels";
import { SkipDialog } from "./SkipDialog";
import { Toolbar } from "./Toolbar";
import { objectBeside } from "./clip";
import { paletteOf } from "./colors";
import { type Edit, selectedOf, shapeOf } from "./editor";
import { CHOOSING, type Hand, drawing } from "./hand";
import type { Images, Picture } from "./images";
import { keyEdits } from "./keyEdits";
import { type Command, commandOf } from "./keymap";
import { nextMatter } from "./matters";
import { type Outline, inTheMiddle } from "./outline";
import { type PathStep, pathStepped } from "./path";
import { type Returning, returning } from "./returning";
import type { Current, Notice, ReviewSession } from "./session";
import type { Shape } from "./shapes";
import { useActing } from "./useActing";
import { useComments } from "./useComments";
import { useFor } from "./useFor";
import { useFrames } from "./useFrames";
import { useFunctions } from "./useFunctions";
import { useImage } from "./useImage";
import { onCanvas, useKeys } from "./useKeys";
import { useLinking } from "./useLinking";
import { useScene } from "./useScene";

interface Props {
  readonly api: Api;
  readonly session: ReviewSession;
  readonly current: Current;
  readonly next: Task | null;
  readonly images: Images;
  readonly notify: (notice: Notice) => void;
}

const NO_ISSUES: Returning = [];

export function Workspace({ api, session, current, next, images, notify }: Props) {
  const { task, lost, recipe } = current;
  const { labels } = recipe;
  const palette = paletteOf(labels);
  const [toReturn, setToReturn] = useFor(task.id, NO_ISSUES);
  const scene = useScene(api, current, toReturn);
  const { frame, visible } = scene;
  // What is drawn stays inside the frame on screen, whatever size the first one has.
  const editor = frame ? { ...current.editor, image: frame } : current.editor;
  const picture = frame ? pictureOf(frame) : task;
  const frameAhead = task.frames?.find(({ index }) => frame !== null && index > frame.index);
  const { loaded, problem, again } = useImage(images, picture, frameAhead ? pictureOf(frameAhead) : next);
  const functions = useFunctions(api, task.project_id);
  const acting = useActing(api, session, current, notify);
  const commenting = useComments(api, task.project_id, picture.item_digest);

  const [hand, setHand] = useFor<Hand>(task.id, CHOOSING);
  const [hidden, setHidden] = useFor(task.id, false);
  const [skipping, setSkipping] = useFor(task.id, false);
  const [hover, setHover] = useFor<string | null>(task.id, null);
  const [offered, setOffered] = useFor<Shape | null>(task.id, null);
  const [helping, setHelping] = useState(false);
  const [wantedLabel, setDrawLabel] = useState("");
  const [readyTask, setReadyTask] = useState<string | null>(null);
  const canvas = useRef<CanvasHandle>(null);
  const fields = {
    filter: useRef<HTMLInputElement>(null),
    said: useRef<HTMLDivElement>(null),
    issue: useRef<HTMLInputElement>(null),
    comment: useRef<HTMLTextAreaElement>(null),
  };
  const tabLeaves = useRef(false);

  const selected = selectedOf(editor);
  // Another version of the recipe may not have the label that was drawn last.
  const drawLabel = palette.has(wantedLabel) ? wantedLabel : (labels[0]?.name ?? "");
  const geometryOf = (name: string) => labels.find((label) => label.name === name)?.geometry ?? "box";
  const unknown = [...new Set(scene.shapes.map((shape) => shape.label).filter((label) => !palette.has(label)))];
  const answerable = lost === null && readyTask === task.id && unknown.length === 0;
  const isDrawing = hand.tool === "draw";
  const focusImage = () => canvas.current?.focus();

  // Every task begins with the keys going to the image.
  useEffect(() => canvas.current?.focus(), [task.id]);

  const edit = useCallback((change: Edit) => session.edit(change), [session]);

  // --- choosing and drawing ---

  const draw = (label: string) => {
    edit({ type: "select", id: null });
    setDrawLabel(label);
    setHidden(false);
    setHand(drawing(geometryOf(label)));
  };

  const pickLabel = (name: string) => {
    if (selected && !isDrawing && geometryOf(name) === selected.type) {
      return edit({ type: "relabel", id: selected.id, label: name });
    }
    // A box is drawn by a drag anywhere; what is drawn by clicks has to be announced.
    if (isDrawing || geometryOf(name) !== "box") return draw(name);
    edit({ type: "select", id: null });
    return setDrawLabel(name);
  };

  const add = (outline: Outline) => {
    edit({ type: "add", label: drawLabel, outline, frame: frame?.index ?? null });
    setHand(CHOOSING);
    setHidden(false);
  };

  const stepPath = (step: PathStep, reach = 0) => {
    if (hand.tool !== "draw" || !hand.path) return;
    const { path, outline } = pathStepped(hand.path, step, editor.image, reach);
    if (outline) add(outline);
    else setHand({ tool: "draw", path });
  };

  const show = (id: string | null) => {
    const shape = shapeOf(editor, id);
    if (!shape) return;
    if (shape.frame !== null && frame && shape.frame !== frame.index) scene.showFrame(shape.frame);
    edit({ type: "select", id });
    canvas.current?.show(shape.box);
  };

  const link = useLinking({ hand, setHand, editor, visible, types: recipe.links ?? [], edit, notify });
  const frames = useFrames({
    task,
    editor,
    frame: frame?.index ?? null,
    positions: scene.positions,
    show: scene.showFrame,
    edit,
    notify,
  });

  const showFrame = (index: number) => {
    setHand(CHOOSING);
    frames.go(index);
  };

  // --- answers ---

  const takeAll = (number: number) => {
    const answer = scene.answers.find((one) => one.number === number);
    if (answer) edit({ type: "replace", shapes: answer.shapes });
  };

  const take = (shape: Shape, number: number | null) => {
    const theirs = scene.answers.find((one) => one.number === number)?.shapes;
    const shapes = theirs ? objectBeside(scene.shapes, theirs, shape) : [shape];
    edit({ type: "take", shapes, frame: frame?.index ?? null });
  };

  const send = () => {
    if (!answerable) return;
    // What the service is known to refuse stays here, where it can be mended at once.
    if (scene.errors > 0 && scene.checked) return show(nextMatter(scene.matters, null, 1));
    session.submit();
  };

  const accept = () => {
    if (scene.stage === "qa" && answerable && !scene.changed) session.accept();
  };

  const giveBack = () => session.giveBackAnswer(toReturn);

  const conclude = () => {
    if (scene.stage !== "qa") return send();
    return toReturn.length > 0 ? giveBack() : scene.changed ? send() : accept();
  };

  const enter = () => {
    if (hand.tool === "link") return link.to(hand.candidate);
    if (hand.tool !== "draw") return conclude();
    if (hand.path && hand.path.points.length > 0) return stepPath({ type: "end" });
    if (canvas.current) add(inTheMiddle(geometryOf(drawLabel), canvas.current.seen(), editor.image));
  };

  const escape = () => {
    tabLeaves.current = hand.tool === "choose" && editor.selected === null;
    if (hand.tool !== "choose") setHand(CHOOSING);
    else if (editor.vertex !== null) edit({ type: "vertex", index: null });
    else edit({ type: "select", id: null });
  };

  const cycle = (by: 1 | -1): boolean => {
    if (hand.tool === "link") {
      link.turn(by);
      return true;
    }
    if (tabLeaves.current) return false;
    if (visible.length === 0) return true; // on a button beside the image, Enter would not be the answer any more
    edit({ type: "cycle", by, among: visible.map(({ id }) => id) });
    const next = selectedOf(session.snapshot().current?.editor ?? editor);
    if (next) canvas.current?.show(next.box);
    return true;
  };

  /** What changes the selected shape; true where the command was one of those. */
  const editByKey = (command: Command): boolean => {
    const edits = keyEdits(command, editor, visible);
    if (edits === null) return false;
    const reshapes = edits.some(({ type }) => type === "reshape");
    if (reshapes && hidden) return true;
    for (const one of edits) edit(one);
    const now = selectedOf(session.snapshot().current?.editor ?? editor);
    if (reshapes && now) canvas.current?.show(now.box);
    return true;
  };

  /** False where the key keeps its usual meaning. */
  const run = (command: Command): boolean => {
    if (command.type === "remove" && hand.tool === "draw") {
      stepPath({ type: "back" });
      return true;
    }
    if (editByKey(command)) return true;
    switch (command.type) {
      case "cycle":
        return cycle(command.by);
      case "say":
        return focused(fields.said.current?.querySelector<HTMLElement>("input, select"));
      case "find-label":
        return focused(fields.filter.current);
      case "return":
        return focused(fields.issue.current);
      case "comment":
        return focused(fields.comment.current);
      default:
        act(command);
        return true;
    }
  };

  const act = (command: Command): void => {
    switch (command.type) {
      case "label":
        return pickLabel(command.name);
      case "act":
        return void acting.act(command.name);
      case "draw":
        return draw(drawLabel);
      case "link":
        return link.start();
      case "matter":
        return show(nextMatter(scene.matters, editor.selected, command.by));
      case "toggle-answer":
        return scene.toggleAnswer(command.number);
      case "take-answer":
        return takeAll(command.number);
      case "accept":
        return accept();
      case "frame":
        return frames.step(command.by);
      case "key-frame":
        return frames.setKey();
      case "outside":
        return frames.setOutside();
      case "submit":
        return enter();
      case "skip":
        return lost ? undefined : setSkipping(true);
      case "hide":
        return setHidden(!hidden);
      case "fit":
        return canvas.current?.fit();
      case "zoom":
        return canvas.current?.zoom(command.factor);
      case "help":
        return setHelping(true);
      case "escape":
        return escape();
    }
  };

  useKeys((event) => {
    const command = commandOf(event, labels, functions);
    if (command?.type !== "cycle" && command?.type !== "escape" && event.key !== "Shift") tabLeaves.current = false;
    if (command?.type === "cycle" && !onCanvas(event.target)) return;
    if (command && run(command)) event.preventDefault();
  });

  const closeDialog = (close: () => void) => () => {
    close();
    focusImage();
  };

  const spots = commenting.comments.flatMap((comment, index) => {
    const pinned = comment.shape === null ? null : shapeOf(editor, comment.shape);
    const [x, y] = pinned ? [pinned.box[0], pinned.box[1]] : (comment.at ?? [null, null]);
    if (x === null || y === null) return [];
    return [{ key: comment.id, at: { x, y }, text: String(index + 1), resolved: comment.state === "resolved" }];
  });
  const overlays = offered
    ? [...scene.overlays, { key: "offered", answer: null, shapes: [offered], color: "#ffffff", dash: [] }]
    : scene.overlays;

  return (
    <div className="review">
      <section className="stage" aria-label="Image">
        <Banner current={current} session={session} imageProblem={problem} onReloadImage={again} />
        <div className="view">
          <Canvas
            handle={canvas}
            taskId={task.id}
            editor={editor}
            shapes={visible}
            overlays={overlays}
            pins={scene.pins}
            spots={spots}
            targets={link.targets}
            geometry={geometryOf(drawLabel)}
            path={hand.tool === "draw" ? hand.path : null}
            loaded={loaded}
            palette={palette}
            drawLabel={drawLabel}
            drawing={isDrawing}
            hidden={hidden}
            hover={hover}
            onHover={setHover}
            onEdit={edit}
            onDrawn={add}
            onPath={stepPath}
            onPick={take}
            onTarget={link.to}
            onReady={setReadyTask}
          />
          {!loaded && !problem && <div className="stage-message muted">Loading the image…</div>}
          <HandHint
            hand={hand}
            label={drawLabel}
            hidden={hidden}
            candidate={shapeOf(editor, link.targets?.candidate ?? null)}
          />
        </div>
        <Toolbar
          history={editor.shapes}
          drawing={isDrawing}
          hidden={hidden}
          outside={frame && (selected?.outside ?? false)}
          onCommand={(command) => {
            run(command);
            if (command.type !== "help") focusImage();
          }}
        />
        {task.frames && frame && (
          <FrameStrip frames={task.frames} current={frame} shapes={scene.shapes} onShow={showFrame} />
        )}
      </section>
      <aside className="side">
        <SidePanels
          api={api}
          current={current}
          scene={scene}
          palette={palette}
          loaded={loaded}
          hand={hand}
          drawLabel={drawLabel}
          hover={hover}
          functions={functions}
          acting={acting}
          commenting={commenting}
          toReturn={toReturn}
          fields={fields}
          onHover={setHover}
          onEdit={edit}
          onShow={show}
          onPickLabel={pickLabel}
          onLink={link.start}
          onTake={take}
          onTakeAll={takeAll}
          onOffer={setOffered}
          onReturning={(step) => setToReturn(returning(toReturn, step))}
          onNote={(note) => session.setNote(note)}
          onProblem={(what) => notify({ tone: "error", ...what })}
          onLeave={focusImage}
        />
        <CallerWaiting key={task.id} answerBy={task.answer_by} clockOffset={api.clockOffset} />
        <ActionBar
          stage={scene.stage}
          shapes={scene.shapes.length}
          unknown={unknown}
          errors={scene.errors}
          answerable={answerable}
          skippable={lost === null}
          changed={scene.changed}
          returning={toReturn.length}
          onSubmit={send}
          onAccept={accept}
          onReturn={giveBack}
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
      {helping && <HelpOverlay labels={labels} functions={functions} onClose={closeDialog(() => setHelping(false))} />}
    </div>
  );
}

const pictureOf = (frame: Frame): Picture => ({ item_digest: frame.digest, image_url: frame.image_url });

/** Whether there was anything to focus. */
function focused(field: HTMLElement | null | undefined): boolean {
  field?.focus();
  return field !== null && field !== undefined;
}
