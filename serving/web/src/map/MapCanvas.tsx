/** The points, and what pointer, wheel, fingers and keys do to them. Nothing here is a React node of its own per point. */
import {
  type KeyboardEvent,
  type PointerEvent,
  type Ref,
  useEffect,
  useImperativeHandle,
  useMemo,
  useRef,
  useState,
} from "react";
import { pointIn, useSize, useWheel, wheelFactor } from "../app/hooks";
import type { Point, Size } from "../review/geometry";
import { type Viewport, fitted, panned, toImage, toScreen, zoomed } from "../review/viewport";
import { type Grid, nearest } from "./grid";
import { mapCommandOf } from "./keys";
import { cornersOf } from "./lasso";
import { type Scene, paint, radiusOf } from "./painter";
import { type Fingers, pinched } from "./pinch";
import { placeOf } from "./plane";

export interface MapHandle {
  fit(): void;
  zoom(factor: number): void;
  /** The corners of what is in sight, in units of the plane. */
  seen(): readonly Point[];
}

interface Props {
  readonly scene: Scene;
  readonly grid: Grid;
  readonly leftOut: (row: number) => boolean;
  readonly hovered: number | null;
  readonly picked: number | null;
  /** Dragging draws a line around points; else it moves the map, unless Shift is held. */
  readonly lassoing: boolean;
  readonly onHover: (row: number | null) => void;
  readonly onPick: (row: number | null) => void;
  /** A line was drawn around points: its corners, in units of the plane. */
  readonly onEnclose: (polygon: readonly Point[]) => void;
  readonly onEscape: () => void;
  readonly handle: Ref<MapHandle>;
}

type Drag =
  | { kind: "pan"; from: Point; last: Point; moved: boolean }
  | { kind: "lasso"; polygon: readonly Point[] }
  | { kind: "pinch"; fingers: Fingers };

const REACH = 12; // CSS px by which a point may be missed
const REACH_OF_KEYS = 60; // CSS px around the middle in which keys look for a point
const SLIP = 4; // CSS px that a click may move

export function MapCanvas(props: Props) {
  const { scene, grid, leftOut, hovered, picked, onHover } = props;
  const container = useRef<HTMLDivElement>(null);
  const points = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const fingers = useRef(new Map<number, Point>());
  const size = useSize(container);
  const plane = scene.plane.size;
  const canvas = size ?? { width: 1, height: 1 };
  const [free, setFree] = useState<Viewport | null>(null);
  const [drag, setShownDrag] = useState<Drag | null>(null);
  const [byKeys, setByKeys] = useState(false);
  const whole = useMemo(() => fitted(plane, canvas), [plane, size]);
  const view = free ?? whole;
  // Several events may come before the next rendering: they go on from here.
  const latest = useRef(view);
  latest.current = view;
  const dragging = useRef<Drag | null>(null);

  const look = (next: Viewport) => {
    latest.current = next;
    setFree(next);
  };
  const setDrag = (next: Drag | null) => {
    dragging.current = next;
    setShownDrag(next);
  };
  const middle = { x: canvas.width / 2, y: canvas.height / 2 };
  const rowAt = (at: Point, reach: number): number | null =>
    nearest(grid, toImage(latest.current, at), reach / latest.current.scale, leftOut);

  useImperativeHandle(props.handle, () => ({
    fit: () => setFree(null),
    zoom: (factor) => look(zoomed(latest.current, factor, middle, plane, canvas)),
    seen: () => cornersInSight(latest.current, canvas),
  }));
  useWheel(container, (event, at) => look(zoomed(latest.current, wheelFactor(event), at, plane, canvas)));
  usePainted(container, points, size, scene, view, whole);
  useMarked(marks, size, {
    view,
    ring: hovered === null ? null : placeOf(scene.plane, hovered),
    held: picked === null ? null : placeOf(scene.plane, picked),
    polygon: drag?.kind === "lasso" ? drag.polygon : null,
    cross: byKeys,
  });

  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    if (event.button !== 0) return;
    const at = pointIn(event);
    event.currentTarget.setPointerCapture(event.pointerId);
    fingers.current.set(event.pointerId, at);
    setByKeys(false);
    const two = twoOf(fingers.current);
    if (two) setDrag({ kind: "pinch", fingers: two });
    else if (event.shiftKey || props.lassoing) setDrag({ kind: "lasso", polygon: [toImage(latest.current, at)] });
    else setDrag({ kind: "pan", from: at, last: at, moved: false });
  };

  const onPointerMove = (event: PointerEvent<HTMLDivElement>) => {
    const at = pointIn(event);
    if (fingers.current.has(event.pointerId)) fingers.current.set(event.pointerId, at);
    const drag = dragging.current;
    switch (drag?.kind) {
      case undefined:
        return onHover(rowAt(at, REACH));
      case "lasso":
        return setDrag({ ...drag, polygon: [...drag.polygon, toImage(latest.current, at)] });
      case "pinch": {
        const two = twoOf(fingers.current);
        if (!two) return;
        look(pinched(latest.current, drag.fingers, two, plane, canvas));
        return setDrag({ kind: "pinch", fingers: two });
      }
      case "pan":
        if (!drag.moved && Math.hypot(at.x - drag.from.x, at.y - drag.from.y) < SLIP) return;
        look(panned(latest.current, at.x - drag.last.x, at.y - drag.last.y, plane, canvas));
        return setDrag({ ...drag, last: at, moved: true });
    }
  };

  const onPointerUp = (event: PointerEvent<HTMLDivElement>) => {
    const drag = dragging.current;
    if (drag?.kind === "lasso") props.onEnclose(drag.polygon);
    if (drag?.kind === "pan" && !drag.moved) props.onPick(rowAt(pointIn(event), REACH));
    release(event);
  };

  const release = (event: PointerEvent<HTMLDivElement>) => {
    fingers.current.delete(event.pointerId);
    // A finger that stays after a pinch moves the map; its lifting is no tap.
    const [left] = fingers.current.values();
    const pinching = dragging.current?.kind === "pinch";
    setDrag(pinching && left ? { kind: "pan", from: left, last: left, moved: true } : null);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const command = mapCommandOf(event);
    if (!command) return;
    event.preventDefault();
    setByKeys(true);
    switch (command.type) {
      case "pan":
        look(panned(latest.current, command.dx, command.dy, plane, canvas));
        return onHover(rowAt(middle, REACH_OF_KEYS));
      case "zoom":
        look(zoomed(latest.current, command.factor, middle, plane, canvas));
        return onHover(rowAt(middle, REACH_OF_KEYS));
      case "fit":
        return setFree(null);
      case "pick":
        return props.onPick(rowAt(middle, REACH_OF_KEYS));
      case "select-seen":
        return props.onEnclose(cornersInSight(latest.current, canvas));
      case "escape":
        return drag ? setDrag(null) : props.onEscape();
    }
  };

  return (
    <div
      ref={container}
      className="canvas map-canvas"
      style={{ cursor: drag?.kind === "pan" ? "grabbing" : props.lassoing ? "crosshair" : "grab" }}
      data-testid="map"
      data-scale={view.scale}
      data-offset-x={view.x}
      data-offset-y={view.y}
      tabIndex={0}
      role="application"
      aria-label={
        `Map of ${scene.plane.xs.length} images. Arrow keys move it, plus and minus zoom, F shows all, ` +
        "Enter picks the image in the middle, S selects what is in sight, Escape clears."
      }
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerCancel={release}
      onPointerLeave={() => !drag && onHover(null)}
      onKeyDown={onKeyDown}
      onBlur={() => setByKeys(false)}
      onContextMenu={(event) => event.preventDefault()}
    >
      <canvas ref={points} />
      <canvas ref={marks} />
    </div>
  );
}

function cornersInSight(view: Viewport, { width, height }: Size): readonly Point[] {
  const [a, b] = [toImage(view, { x: 0, y: 0 }), toImage(view, { x: width, y: height })];
  return cornersOf([a.x, a.y, b.x, b.y]);
}

function twoOf(fingers: ReadonlyMap<number, Point>): Fingers | null {
  const [a, b] = fingers.values();
  return a && b ? [a, b] : null;
}

/** Paints the points in the next frame; the container then says for which drawing it is ready. */
function usePainted(
  container: { current: HTMLElement | null },
  target: { current: HTMLCanvasElement | null },
  size: Size | null,
  scene: Scene,
  view: Viewport,
  whole: Viewport,
): void {
  const image = useRef<ImageData | null>(null);
  useEffect(() => {
    if (!size) return undefined;
    const frame = requestAnimationFrame(() => {
      const element = target.current;
      const pen = element?.getContext("2d", { alpha: false });
      if (!element || !pen) return;
      const ratio = sharpened(element, size);
      const { width, height } = element;
      if (image.current?.width !== width || image.current.height !== height)
        image.current = pen.createImageData(width, height);
      const pixels = { data: new Uint32Array(image.current.data.buffer), width, height };
      const closer = view.scale / whole.scale;
      const radius = radiusOf(scene.plane.xs.length, pixels, closer, ratio);
      paint(pixels, scene, { scale: view.scale * ratio, x: view.x * ratio, y: view.y * ratio }, radius);
      pen.putImageData(image.current, 0, 0);
      container.current?.setAttribute("data-points", String(scene.plane.xs.length));
    });
    return () => cancelAnimationFrame(frame);
  }, [container, target, size, scene, view, whole]);
}

interface Marks {
  readonly view: Viewport;
  readonly ring: Point | null;
  readonly held: Point | null;
  readonly polygon: readonly Point[] | null;
  readonly cross: boolean;
}

/** What lies over the points: rings around those that are pointed at and picked, the lasso, the middle for keys. */
function useMarked(target: { current: HTMLCanvasElement | null }, size: Size | null, marks: Marks): void {
  const latest = useRef(marks);
  latest.current = marks;
  useEffect(() => {
    const element = target.current;
    const pen = element?.getContext("2d");
    if (!element || !pen || !size) return;
    const ratio = sharpened(element, size);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size.width, size.height);
    const { view, ring, held, polygon, cross } = latest.current;
    pen.lineWidth = 2;
    if (held) circle(pen, toScreen(view, held), 9, "#5aa9ff");
    if (ring) circle(pen, toScreen(view, ring), 7, "#ffffff");
    if (polygon)
      outline(
        pen,
        polygon.map((corner) => toScreen(view, corner)),
      );
    if (cross) crosshair(pen, size);
  });
}

function circle(pen: CanvasRenderingContext2D, at: Point, radius: number, colour: string): void {
  pen.strokeStyle = colour;
  pen.beginPath();
  pen.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  pen.stroke();
}

function outline(pen: CanvasRenderingContext2D, corners: readonly Point[]): void {
  pen.strokeStyle = "#5aa9ff";
  pen.fillStyle = "rgb(90 169 255 / 12%)";
  pen.beginPath();
  for (const corner of corners) pen.lineTo(corner.x, corner.y);
  pen.closePath();
  pen.fill();
  pen.stroke();
}

function crosshair(pen: CanvasRenderingContext2D, { width, height }: Size): void {
  pen.strokeStyle = "rgb(255 255 255 / 45%)";
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(width / 2 - 12, height / 2);
  pen.lineTo(width / 2 + 12, height / 2);
  pen.moveTo(width / 2, height / 2 - 12);
  pen.lineTo(width / 2, height / 2 + 12);
  pen.stroke();
}

/** Gives the canvas as many pixels as the screen has for it; how many of them to a CSS px. */
function sharpened(element: HTMLCanvasElement, size: Size): number {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
  if (element.width !== width) element.width = width;
  if (element.height !== height) element.height = height;
  return ratio;
}
