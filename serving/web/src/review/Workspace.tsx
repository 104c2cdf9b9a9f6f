/** One task on screen: the image with its shapes, the panels beside it, and what keys do. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { Api } from "../api/client";
import type { Task } from "../api/types";
import { ActionBar } from "./ActionBar";
import { Banner } from "./Banner";
import { Canvas, type CanvasHandle, type Targets } from "./Canvas";
import { FrameStrip } from "./FrameStrip";
import { HelpOverlay } from "./HelpOverlay";
import { HandHint } from "./HandHint";
import { SidePanels } from "./SidePanels";
import { SkipDialog } from "./SkipDialog";
import { Toolbar } from "./Toolbar";
import { freshTrack, followed } from "./clip";
import { paletteOf } from "./colors";
import { type Edit, chosenOf, selectedOf, shapeOf } from "./editor";
import { type Box, grown, stretched } from "./geometry";
import { CHOOSING, type Hand, drawing, linking, turned } from "./hand";
import type { Images } from "./images";
import { type Command, commandOf } from "./keymap";
import { targetsOf } from "./links";
import { nextMatter } from "./matters";
import { type Outline, boxed, inTheMiddle, middles, moved, vertexAdded, vertexMoved, vertexRemoved } from "./outline";
import { type PathStep, pathStepped } from "./path";
import { type Returning, returning } from "./returning";
import type { Current, Notice, ReviewSession } from "./session";
import type { Shape } from "./shapes";
import { useActing } from "./useActing";
import { useComments } from "./useComments";
import { useFor } from "./useFor";
import { useFunctions } from "./useFunctions";
import { useImage } from "./useImage";
import { onCanvas, useKeys } from "./useKeys";
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
  const { editor, task, lost, recipe } = current;
  const { labels } = recipe;
  const palette = paletteOf(labels);
  const [toReturn, setToReturn] = useFor(task.id, NO_ISSUES);
  const scene = useScene(api, current, toReturn);
  const { frame, visible } = scene;
  const picture = frame ? { item_digest: frame.digest, image_url: frame.image_url } : task;
  const { loaded, problem, again } = useImage(images, picture, next);
  const functions = useFunctions(api, task.project_id);
  const acting = useActing(api, session, current, notify);
  const commenting = useComments(api, task.project_id, picture.item_digest);

  const [hand, setHand] = useFor<Hand>(task.id, CHOOSING);
  const [hidden, setHidden] = useFor(task.id, false);
  const [skipping, setSkipping] = useFor(task.id, false);
  const [hover, setHover] = useFor<string | null>(task.id, null);
  const [offered, setOffered] = useFor<Shape | null>(task.id, null);
  const [following, setFollowing] = useFor<string | null>(task.id, null);
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

  const reshape = (tag: string, change: (outline: Outline) => Outline) => {
    if (!selected || hidden) return;
    const outline = change(selected);
    edit({ type: "reshape", id: selected.id, outline, tag });
    canvas.current?.show(outline.box);
  };

  const reshapeBox = (tag: string, change: (box: Box) => Box) => {
    if (selected?.type === "box") reshape(tag, (outline) => boxed(change(outline.box)));
  };

  const nudge = (dx: number, dy: number) =>
    reshape("move", (outline) => {
      const point = editor.vertex === null ? undefined : outline.points[editor.vertex];
      if (editor.vertex === null || !point) return moved(outline, dx, dy, editor.image);
      return vertexMoved(outline, editor.vertex, { x: point.x + dx, y: point.y + dy }, editor.image);
    });

  const chooseVertex = (by: 1 | -1) => {
    const count = selected && selected.type !== "point" ? selected.points.length : 0;
    if (count === 0) return;
    const from = editor.vertex ?? (by === 1 ? -1 : count);
    edit({ type: "vertex", index: (from + by + count) % count });
  };

  const addVertex = () => {
    const middle = selected && middles(selected).find(({ index }) => index === (editor.vertex ?? 0) + 1);
    if (!selected || !middle) return;
    edit({ type: "reshape", id: selected.id, outline: vertexAdded(selected, middle.index, middle.at) });
    edit({ type: "vertex", index: middle.index });
  };

  const remove = () => {
    if (hand.tool === "draw" && hand.path) return stepPath({ type: "back" });
    if (!selected) return undefined;
    if (editor.vertex === null) return edit({ type: "remove", id: selected.id });
    const outline = vertexRemoved(selected, editor.vertex, editor.image);
    edit({ type: "vertex", index: null });
    return edit({ type: "reshape", id: selected.id, outline });
  };

  const markNext = () => {
    const last = chosenOf(editor).at(-1);
    const index = visible.findIndex(({ id }) => id === last);
    const next = visible[(index + 1) % visible.length];
    if (next && !chosenOf(editor).includes(next.id)) edit({ type: "mark", id: next.id });
  };

  // --- links ---

  const source = hand.tool === "link" ? shapeOf(editor, hand.source) : null;
  const linkType = hand.tool === "link" ? recipe.links?.find(({ name }) => name === hand.type) : undefined;
  const among = source && linkType ? targetsOf(linkType, source, visible) : [];
  const targets: Targets | null =
    source && hand.tool === "link" ? { source, among, candidate: hand.candidate } : null;

  const startLink = (named: string | null = null) => {
    if (!selected) return;
    const next = linking(hand, recipe.links ?? [], selected, visible, named);
    if (next) return setHand(next);
    notify({ tone: "info", title: "Nothing to link", detail: `No link can lead from this ${selected.label} now.`, hint: "" });
  };

  const linkTo = (id: string | null) => {
    setHand(CHOOSING);
    if (hand.tool !== "link" || !among.some((shape) => shape.id === id) || id === null) return;
    edit({ type: "link", id: hand.source, link: { type: hand.type, to: id } });
  };

  // --- frames ---

  const showFrame = (index: number) => {
    const track = selected?.track ?? following;
    setFollowing(track);
    setHand(CHOOSING);
    scene.showFrame(index);
    const same = track && scene.shapes.find((shape) => shape.track === track && shape.frame === index);
    edit({ type: "select", id: same ? same.id : null });
  };

  const stepFrame = (by: 1 | -1) => {
    const frames = task.frames ?? [];
    const next = frames[frames.findIndex(({ index }) => index === frame?.index) + by];
    if (next) showFrame(next.index);
  };

  const setKeyFrame = () => {
    if (!frame) return;
    if (selected) {
      const track = selected.track ?? freshTrack(scene.shapes);
      if (selected.track === null) edit({ type: "track", id: selected.id, track });
      return setFollowing(track);
    }
    const shape = following && followed(scene.shapes, following, frame.index);
    if (shape) edit({ type: "take", shapes: [shape] });
  };

  // --- answers ---

  const takeAll = (number: number) => {
    const answer = scene.answers.find((one) => one.number === number);
    if (answer) edit({ type: "replace", shapes: answer.shapes });
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
    if (hand.tool === "link") return linkTo(hand.candidate);
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
      setHand(turned(hand, among, by));
      return true;
    }
    if (tabLeaves.current || visible.length === 0) return false;
    edit({ type: "cycle", by, among: visible.map(({ id }) => id) });
    const next = selectedOf(session.snapshot().current?.editor ?? editor);
    if (next) canvas.current?.show(next.box);
    return true;
  };

  const sayMore = (): boolean => {
    const field = fields.said.current?.querySelector<HTMLElement>("input, select");
    field?.focus();
    return field !== null && field !== undefined;
  };

  /** False where the key keeps its usual meaning. */
  const run = (command: Command): boolean => {
    const image = editor.image;
    switch (command.type) {
      case "label":
        pickLabel(command.name);
        return true;
      case "act":
        void acting.act(command.name);
        return true;
      case "find-label":
        fields.filter.current?.focus();
        return fields.filter.current !== null;
      case "draw":
        draw(drawLabel);
        return true;
      case "cycle":
        return cycle(command.by);
      case "nudge":
        nudge(command.dx, command.dy);
        return true;
      case "stretch":
        reshapeBox("stretch", (box) => stretched(box, command.dx, command.dy, image));
        return true;
      case "grow":
        reshapeBox("grow", (box) => grown(box, command.by, image));
        return true;
      case "vertex":
        chooseVertex(command.by);
        return true;
      case "vertex-add":
        addVertex();
        return true;
      case "mark":
        markNext();
        return true;
      case "say":
        return sayMore();
      case "link":
        startLink();
        return true;
      case "matter":
        show(nextMatter(scene.matters, editor.selected, command.by));
        return true;
      case "toggle-answer":
        scene.toggleAnswer(command.number);
        return true;
      case "take-answer":
        takeAll(command.number);
        return true;
      case "accept":
        accept();
        return true;
      case "return":
        fields.issue.current?.focus();
        return fields.issue.current !== null;
      case "comment":
        fields.comment.current?.focus();
        return fields.comment.current !== null;
      case "frame":
        stepFrame(command.by);
        return true;
      case "key-frame":
        setKeyFrame();
        return true;
      case "remove":
        remove();
        return true;
      case "undo":
      case "redo":
        edit({ type: command.type });
        return true;
      case "submit":
        enter();
        return true;
      case "skip":
        if (!lost) setSkipping(true);
        return true;
      case "hide":
        setHidden(!hidden);
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
    ? [...scene.overlays, { key: "offered", shapes: [offered], color: "#ffffff", dash: [] }]
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
            targets={targets}
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
            onPick={(shape) => edit({ type: "take", shapes: [shape] })}
            onTarget={linkTo}
            onReady={setReadyTask}
          />
          {!loaded && !problem && <div className="stage-message muted">Loading the image…</div>}
          <HandHint hand={hand} label={drawLabel} hidden={hidden} candidate={shapeOf(editor, targets?.candidate ?? null)} />
          <Toolbar
            history={editor.shapes}
            drawing={isDrawing}
            hidden={hidden}
            onCommand={(command) => {
              run(command);
              if (command.type !== "help") focusImage();
            }}
          />
        </div>
        {task.frames && frame && (
          <FrameStrip frames={task.frames} current={frame} shapes={scene.shapes} onShow={showFrame} />
        )}
      </section>
      <aside className="side">
        <SidePanels
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
          onLink={startLink}
          onTake={(shape) => edit({ type: "take", shapes: [shape] })}
          onTakeAll={takeAll}
          onOffer={setOffered}
          onReturning={(step) => setToReturn(returning(toReturn, step))}
          onNote={(note) => session.setNote(note)}
          onProblem={(what) => notify({ tone: "error", ...what })}
          onLeave={focusImage}
        />
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
      {helping && (
        <HelpOverlay labels={labels} functions={functions} onClose={closeDialog(() => setHelping(false))} />
      )}
    </div>
  );
}
