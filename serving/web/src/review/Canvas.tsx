/** The image and its shapes: pointer, wheel, zoom and pan. What keys do is decided by the page around it. */
import { type PointerEvent, type Ref, useEffect, useImperativeHandle, useRef, useState } from "react";
import { Image as KonvaImage, Layer, Rect, Stage } from "react-konva";
import { pointIn, useSize, useWheel, wheelFactor } from "../app/hooks";
import type { Geometry } from "../api/types";
import { Bubble, Crosshair, Drawing, Form, Leash, PathPreview, Preview, SizeTag } from "./Drawing";
import { type Palette, colorOf } from "./colors";
import type { Edit, Editor } from "./editor";
import type { Box, Point, Size } from "./geometry";
import { type Gesture, dragged, hovered, isMeant, pressed, stackAt } from "./gesture";
import type { Loaded } from "./images";
import type { Matter } from "./matters";
import { type Outline, boxed, centreOf, inside } from "./outline";
import type { Path, PathStep } from "./path";
import type { Shape } from "./shapes";
import { type Viewport, boxOnScreen, fitted, panned, seen, showing, toImage, toScreen, zoomed } from "./viewport";

const REACH = 7; // CSS px by which a handle may be missed
const SLIP = 3; // CSS px that a click may move
const LEAST_DRAWN = 4; // CSS px on both sides for a box that is meant

export interface CanvasHandle {
  fit(): void;
  zoom(factor: number): void;
  /** The part of the image in sight. */
  seen(): Box;
  /** Brings the box into sight. */
  show(box: Box): void;
  focus(): void;
}

/** Shapes that are looked at, and may be taken, but are not in the answer. */
export interface Overlay {
  readonly key: string;
  /** The number of the answer that they are of; null: what goes on through this frame. */
  readonly answer: number | null;
  readonly shapes: readonly Shape[];
  readonly color: string;
  readonly dash: readonly number[];
}

/** A comment's place, in image pixels. */
export interface Spot {
  readonly key: string;
  readonly at: Point;
  readonly text: string;
  readonly resolved: boolean;
}

/** Which shapes a link may lead to, while one is made, and which of them Enter would take. */
export interface Targets {
  readonly source: Shape;
  readonly among: readonly Shape[];
  readonly candidate: string | null;
}

interface Props {
  readonly taskId: string;
  readonly editor: Editor;
  /** Those of the editor that are on this image or frame. */
  readonly shapes: readonly Shape[];
  readonly overlays: readonly Overlay[];
  readonly pins: ReadonlyMap<string, Matter["kind"]>;
  readonly spots: readonly Spot[];
  readonly targets: Targets | null;
  /** How the label to draw is drawn; `path`: what there is of a polygon or line. */
  readonly geometry: Geometry;
  readonly path: Path | null;
  readonly loaded: Loaded | null;
  readonly palette: Palette;
  readonly drawLabel: string;
  readonly drawing: boolean;
  readonly hidden: boolean;
  readonly hover: string | null;
  readonly onHover: (id: string | null) => void;
  readonly onEdit: (edit: Edit) => void;
  readonly onDrawn: (outline: Outline) => void;
  /** `reach`: image pixels within which a click means a point that is there. */
  readonly onPath: (step: PathStep, reach: number) => void;
  readonly onPick: (shape: Shape, answer: number | null) => void;
  readonly onTarget: (id: string) => void;
  readonly onReady: (taskId: string) => void;
  readonly handle: Ref<CanvasHandle>;
}

type Drag = { kind: "pan"; last: Point } | { kind: "edit"; gesture: Gesture; from: Point; moved: boolean };

const CURSORS: Record<string, string> = {
  nw: "nwse-resize",
  se: "nwse-resize",
  ne: "nesw-resize",
  sw: "nesw-resize",
  n: "ns-resize",
  s: "ns-resize",
  e: "ew-resize",
  w: "ew-resize",
  move: "move",
  draw: "crosshair",
  vertex: "grab",
  none: "default",
};

export function Canvas(props: Props) {
  const { editor, loaded, palette, drawing, hidden, hover, taskId, path, targets, onEdit, onReady } = props;
  const container = useRef<HTMLDivElement>(null);
  const size = useSize(container);
  const image = editor.image;
  const [free, setFree] = useState<{ taskId: string; view: Viewport } | null>(null);
  const [drag, setDrag] = useState<Drag | null>(null);
  const [pointer, setPointer] = useState<Point | null>(null);
  const [spaceHeld, setSpaceHeld] = useState(false);
  const ready = useReady(taskId, loaded !== null && size !== null, onReady);

  const canvas = size ?? { width: 1, height: 1 };
  // Every image begins fitted; zooming or panning frees the view until the next image.
  const view = free?.taskId === taskId ? free.view : fitted(image, canvas);
  const look = (next: Viewport) => setFree({ taskId, view: next });

  const latest = useRef({ view, canvas });
  latest.current = { view, canvas };

  useImperativeHandle(props.handle, () => ({
    fit: () => setFree(null),
    zoom: (factor) =>
      look(zoomed(latest.current.view, factor, middle(latest.current.canvas), image, latest.current.canvas)),
    seen: () => seen(latest.current.view, image, latest.current.canvas),
    show: (box) => {
      const next = showing(latest.current.view, box, image, latest.current.canvas);
      if (next !== latest.current.view) look(next);
    },
    focus: () => container.current?.focus({ preventScroll: true }),
  }));

  useWheel(container, (event, at) => {
    look(zoomed(latest.current.view, wheelFactor(event), at, image, latest.current.canvas));
  });
  useSpace(setSpaceHeld);
  useEscape(drag !== null, () => setDrag(null));
  useEffect(() => setDrag(null), [taskId]);

  // What is outside is to be seen only while it is selected, so that it can be placed.
  const shapes = hidden ? [] : props.shapes.filter(({ id, outside }) => !outside || id === editor.selected);
  const reach = REACH / view.scale;
  const press = (point: Point, forced: boolean) => ({
    point: toImage(view, point),
    shapes,
    selected: editor.selected,
    drawing: drawing || forced,
    reach,
  });
  const targetAt = (at: Point): Shape | undefined =>
    targets ? stackAt({ shapes: targets.among, point: toImage(view, at), reach })[0] : undefined;

  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    container.current?.focus({ preventScroll: true });
    if (!loaded || drag) return;
    const at = pointIn(event);
    const pans = event.button === 1 || (event.button === 0 && spaceHeld);
    if (!pans && event.button !== 0) return;
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    if (pans) return setDrag({ kind: "pan", last: at });
    if (targets) return props.onTarget(targetAt(at)?.id ?? "");
    if (drawing && path) return props.onPath({ type: "set", at: inside(toImage(view, at), image) }, reach);
    const gesture = pressed(press(at, event.shiftKey));
    if (gesture.type === "vertex") onEdit({ type: "vertex", index: gesture.index });
    if (gesture.type === "move" && gesture.id !== editor.selected) onEdit({ type: "select", id: gesture.id });
    setDrag({ kind: "edit", gesture, from: at, moved: false });
  };

  const onPointerMove = (event: PointerEvent<HTMLDivElement>) => {
    const at = pointIn(event);
    setPointer(at);
    if (!drag) return props.onHover(targets ? (targetAt(at)?.id ?? null) : topmost(press(at, event.shiftKey)));
    if (drag.kind === "pan") {
      look(panned(view, at.x - drag.last.x, at.y - drag.last.y, image, canvas));
      return setDrag({ kind: "pan", last: at });
    }
    const far = drag.moved || Math.hypot(at.x - drag.from.x, at.y - drag.from.y) >= SLIP;
    if (far) setDrag({ ...drag, moved: true, gesture: dragged(drag.gesture, toImage(view, at), image) });
  };

  const onPointerUp = (event: PointerEvent<HTMLDivElement>) => {
    if (drag?.kind === "edit") finish(drag.gesture, drag.moved, toImage(view, pointIn(event)), event.shiftKey);
    setDrag(null);
  };

  const finish = (gesture: Gesture, movedFar: boolean, point: Point, shift: boolean) => {
    if (gesture.type === "draw") return drawn(gesture, movedFar, point, shift);
    if (movedFar) return onEdit({ type: "reshape", id: gesture.id, outline: gesture.outline });
    if (gesture.type === "move" && gesture.next) onEdit({ type: "select", id: gesture.next });
  };

  const drawn = (gesture: Gesture & { type: "draw" }, movedFar: boolean, point: Point, shift: boolean) => {
    if (drawing && props.geometry === "point") {
      const at = inside(point, image);
      return props.onDrawn({ type: "point", box: [at.x, at.y, at.x, at.y], points: [at] });
    }
    const { box } = gesture;
    if (props.geometry === "box" && box && isMeant(box, LEAST_DRAWN / view.scale)) return props.onDrawn(boxed(box));
    if (drawing || movedFar) return undefined;
    if (shift) {
      const [top] = stackAt({ shapes, point, reach });
      return top && onEdit({ type: "mark", id: top.id });
    }
    const overlays = hidden ? [] : props.overlays;
    const [offered] = stackAt({ shapes: overlays.flatMap((overlay) => overlay.shapes), point, reach });
    if (!offered) return onEdit({ type: "select", id: null });
    return props.onPick(offered, overlays.find((overlay) => overlay.shapes.includes(offered))?.answer ?? null);
  };

  const gesture = drag?.kind === "edit" ? drag.gesture : null;
  const inHand = shapes.map((shape) => inGesture(shape, gesture));
  const live = gesture && gesture.type !== "draw" && drag?.kind === "edit" && drag.moved ? gesture.outline.box : null;
  const cursor = cursorOf(drag, spaceHeld, () => {
    const over = pointer && loaded ? hovered(press(pointer, false)) : "draw";
    // What is drawn by clicks is drawn only when it was asked for.
    return over === "draw" && !drawing && props.geometry !== "box" ? "none" : over;
  });
  const leashEnd = targets && leashTo(targets, pointer, view);
  const shown = pointer && loaded ? toImage(view, pointer) : null;

  return (
    <div
      ref={container}
      className="canvas"
      style={{ cursor }}
      data-testid="canvas"
      data-task-id={taskId}
      data-ready={ready ? "true" : "false"}
      data-scale={view.scale}
      data-offset-x={view.x}
      data-offset-y={view.y}
      data-drawing={drawing ? "true" : "false"}
      data-linking={targets ? "true" : "false"}
      tabIndex={0}
      role="application"
      aria-label={`Image with ${props.shapes.length} shapes. Press question mark for the keys; Escape, then Tab, leaves the image.`}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onDoubleClick={() => drawing && path && props.onPath({ type: "end" }, reach)}
      onPointerCancel={() => setDrag(null)}
      onPointerLeave={() => {
        setPointer(null);
        props.onHover(null);
      }}
      onContextMenu={(event) => event.preventDefault()}
    >
      {size && (
        <Stage width={size.width} height={size.height} listening={false}>
          {/* Enlarged pixels stay squares, so that an edge can be placed on them; a reduced image is smoothed. */}
          <Layer listening={false} imageSmoothingEnabled={view.scale < 1}>
            {loaded && <Picture loaded={loaded} image={image} view={view} />}
          </Layer>
          <Layer listening={false}>
            {loaded && !hidden && <Overlaid overlays={props.overlays} view={view} />}
            {loaded && (
              <Drawing
                shapes={inHand}
                selected={editor.selected}
                marked={editor.marked}
                vertex={editor.vertex}
                hovered={targets?.candidate ?? hover}
                palette={palette}
                pins={props.pins}
                view={view}
                canvas={canvas}
              />
            )}
            {loaded &&
              props.spots.map((spot) => (
                <Bubble key={spot.key} at={toScreen(view, spot.at)} text={spot.text} resolved={spot.resolved} />
              ))}
            {live && <SizeTag box={boxOnScreen(view, live)} of={live} />}
            {gesture?.type === "draw" && gesture.box && props.geometry === "box" && (
              <Preview box={gesture.box} color={colorOf(palette, props.drawLabel)} view={view} />
            )}
            {drawing && path && path.points.length > 0 && (
              <PathPreview path={path} at={pointer} color={colorOf(palette, props.drawLabel)} view={view} />
            )}
            {targets && leashEnd && <Leash from={toScreen(view, centreOf(targets.source))} to={leashEnd} />}
            {drawing && pointer && !gesture && <Crosshair at={pointer} canvas={canvas} />}
          </Layer>
        </Stage>
      )}
      {shown && shown.x >= 0 && shown.y >= 0 && shown.x <= image.width && shown.y <= image.height && (
        <div className="coordinates" aria-hidden="true">
          x {Math.floor(shown.x)} · y {Math.floor(shown.y)}
        </div>
      )}
    </div>
  );
}

/** Transparency lies over black, as the model sees it. */
export function Picture({ loaded, image, view }: { loaded: Loaded; image: Size; view: Viewport }) {
  const frame = { x: view.x, y: view.y, width: image.width * view.scale, height: image.height * view.scale };
  return (
    <>
      <Rect {...frame} fill="#000" />
      <KonvaImage {...frame} image={loaded.bitmap} />
    </>
  );
}

function Overlaid({ overlays, view }: { overlays: readonly Overlay[]; view: Viewport }) {
  return (
    <>
      {overlays.flatMap(({ key, shapes, color, dash }) =>
        shapes.map((shape) => (
          <Form key={`${key} ${shape.id}`} outline={shape} view={view} color={color} dash={dash} />
        )),
      )}
    </>
  );
}

function leashTo(targets: Targets, pointer: Point | null, view: Viewport): Point | null {
  const candidate = targets.among.find((shape) => shape.id === targets.candidate);
  return candidate ? toScreen(view, centreOf(candidate)) : pointer;
}

const middle = (canvas: Size): Point => ({ x: canvas.width / 2, y: canvas.height / 2 });

const inGesture = (shape: Shape, gesture: Gesture | null): Shape =>
  gesture && gesture.type !== "draw" && gesture.id === shape.id
    ? { ...shape, box: gesture.outline.box, points: gesture.outline.points }
    : shape;

function topmost(press: Parameters<typeof pressed>[0]): string | null {
  const gesture = pressed(press);
  return gesture.type === "draw" ? null : gesture.id;
}

function cursorOf(drag: Drag | null, spaceHeld: boolean, over: () => string): string {
  if (drag?.kind === "pan") return "grabbing";
  if (spaceHeld) return "grab";
  if (drag) return CURSORS[drag.gesture.type === "resize" ? drag.gesture.handle : drag.gesture.type] ?? "crosshair";
  return CURSORS[over()] ?? "crosshair";
}

/** True once the image of this task and its shapes have been painted. */
function useReady(taskId: string, drawable: boolean, onReady: (taskId: string) => void): boolean {
  const [painted, setPainted] = useState<string | null>(null);
  const announce = useRef(onReady);
  announce.current = onReady;
  useEffect(() => {
    setPainted(null);
    if (!drawable) return undefined;
    let second = 0;
    // Konva paints in the next frame; the frame after it, the picture is on the screen.
    const first = requestAnimationFrame(() => {
      second = requestAnimationFrame(() => {
        setPainted(taskId);
        announce.current(taskId);
      });
    });
    return () => {
      cancelAnimationFrame(first);
      cancelAnimationFrame(second);
    };
  }, [taskId, drawable]);
  return painted === taskId;
}

function useSpace(set: (held: boolean) => void): void {
  const latest = useRef(set);
  latest.current = set;
  useEffect(() => {
    const typing = (event: KeyboardEvent) =>
      event.target instanceof HTMLElement &&
      event.target.closest("input, textarea, select, button, summary, dialog") !== null;
    const down = (event: KeyboardEvent) => {
      if (event.key !== " " || typing(event)) return;
      event.preventDefault();
      latest.current(true);
    };
    const up = (event: KeyboardEvent) => event.key === " " && latest.current(false);
    const blur = () => latest.current(false);
    window.addEventListener("keydown", down);
    window.addEventListener("keyup", up);
    window.addEventListener("blur", blur);
    return () => {
      window.removeEventListener("keydown", down);
      window.removeEventListener("keyup", up);
      window.removeEventListener("blur", blur);
    };
  }, []);
}

/** While a drag is under way Escape cancels it, and nothing else. */
function useEscape(active: boolean, cancel: () => void): void {
  const latest = useRef(cancel);
  latest.current = cancel;
  useEffect(() => {
    if (!active) return undefined;
    const listen = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopImmediatePropagation();
      latest.current();
    };
    window.addEventListener("keydown", listen, { capture: true });
    return () => window.removeEventListener("keydown", listen, { capture: true });
  }, [active]);
}
