/** The image and its shapes: pointer, wheel, zoom and pan. What keys do is decided by the page around it. */
import { type PointerEvent, type Ref, useEffect, useImperativeHandle, useRef, useState } from "react";
import { Image as KonvaImage, Layer, Rect, Stage } from "react-konva";
import { pointIn, useSize, useWheel, wheelFactor } from "../app/hooks";
import { Boxes, Crosshair, Preview, SizeTag } from "./Boxes";
import { type Palette, colorOf } from "./colors";
import { type Edit, type Editor, shapesOf } from "./editor";
import type { Box, Point, Size } from "./geometry";
import { type Gesture, dragged, hovered, isMeant, pressed } from "./gesture";
import type { Loaded } from "./images";
import type { Shape } from "./shapes";
import { type Viewport, boxOnScreen, fitted, panned, seen, showing, toImage, zoomed } from "./viewport";

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

interface Props {
  readonly taskId: string;
  readonly editor: Editor;
  readonly loaded: Loaded | null;
  readonly palette: Palette;
  readonly drawLabel: string;
  readonly drawing: boolean;
  readonly hidden: boolean;
  readonly hover: string | null;
  readonly onHover: (id: string | null) => void;
  readonly onEdit: (edit: Edit) => void;
  readonly onDrawn: (box: Box) => void;
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
};

export function Canvas(props: Props) {
  const { editor, loaded, palette, drawing, hidden, hover, taskId, onEdit, onReady } = props;
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

  const shapes = hidden ? [] : shapesOf(editor);
  const press = (point: Point, forced: boolean) => ({
    point: toImage(view, point),
    shapes,
    selected: editor.selected,
    drawing: drawing || forced,
    reach: REACH / view.scale,
  });

  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    container.current?.focus({ preventScroll: true });
    if (!loaded || drag) return;
    const at = pointIn(event);
    const pans = event.button === 1 || (event.button === 0 && spaceHeld);
    if (!pans && event.button !== 0) return;
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    if (pans) return setDrag({ kind: "pan", last: at });
    const gesture = pressed(press(at, event.shiftKey));
    if (gesture.type === "move" && gesture.id !== editor.selected) onEdit({ type: "select", id: gesture.id });
    setDrag({ kind: "edit", gesture, from: at, moved: false });
  };

  const onPointerMove = (event: PointerEvent<HTMLDivElement>) => {
    const at = pointIn(event);
    setPointer(at);
    if (!drag) return props.onHover(topmost(press(at, event.shiftKey)));
    if (drag.kind === "pan") {
      look(panned(view, at.x - drag.last.x, at.y - drag.last.y, image, canvas));
      return setDrag({ kind: "pan", last: at });
    }
    const far = drag.moved || Math.hypot(at.x - drag.from.x, at.y - drag.from.y) >= SLIP;
    if (far) setDrag({ ...drag, moved: true, gesture: dragged(drag.gesture, toImage(view, at), image) });
  };

  const onPointerUp = () => {
    if (drag?.kind === "edit") finish(drag.gesture, drag.moved);
    setDrag(null);
  };

  const finish = (gesture: Gesture, movedFar: boolean) => {
    if (gesture.type === "draw") {
      if (gesture.box && isMeant(gesture.box, LEAST_DRAWN / view.scale)) props.onDrawn(gesture.box);
      else if (!drawing) onEdit({ type: "select", id: null });
    } else if (movedFar) onEdit({ type: "reshape", id: gesture.id, box: gesture.box });
    else if (gesture.type === "move" && gesture.next) onEdit({ type: "select", id: gesture.next });
  };

  const gesture = drag?.kind === "edit" ? drag.gesture : null;
  const drawn = shapes.map((shape) => inGesture(shape, gesture));
  const live = gesture && gesture.type !== "draw" && drag?.kind === "edit" && drag.moved ? gesture.box : null;
  const cursor = cursorOf(drag, spaceHeld, () => (pointer && loaded ? hovered(press(pointer, false)) : "draw"));
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
      tabIndex={0}
      role="application"
      aria-label={`Image with ${shapesOf(editor).length} boxes. Press question mark for the keys; Escape, then Tab, leaves the image.`}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
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
            {loaded && (
              <Boxes
                shapes={drawn}
                selected={editor.selected}
                hovered={hover}
                palette={palette}
                view={view}
                canvas={canvas}
              />
            )}
            {live && <SizeTag box={boxOnScreen(view, live)} of={live} />}
            {gesture?.type === "draw" && gesture.box && (
              <Preview box={gesture.box} color={colorOf(palette, props.drawLabel)} view={view} />
            )}
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
function Picture({ loaded, image, view }: { loaded: Loaded; image: Size; view: Viewport }) {
  const frame = { x: view.x, y: view.y, width: image.width * view.scale, height: image.height * view.scale };
  return (
    <>
      <Rect {...frame} fill="#000" />
      <KonvaImage {...frame} image={loaded.bitmap} />
    </>
  );
}

const middle = (canvas: Size): Point => ({ x: canvas.width / 2, y: canvas.height / 2 });

const inGesture = (shape: Shape, gesture: Gesture | null): Shape =>
  gesture && gesture.type !== "draw" && gesture.id === shape.id ? { ...shape, box: gesture.box } : shape;

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
