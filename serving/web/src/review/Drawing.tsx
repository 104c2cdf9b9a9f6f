/** The Konva drawing of shapes: outlines, tags with label and score, links, and the handles of the selected one. */
import { Fragment, type ReactNode } from "react";
import { Arrow, Circle, Group, Label, Line, Rect, Tag, Text } from "react-konva";
import { type Palette, colorOf, inkOn } from "./colors";
import { type Box, HANDLES, type Point, type Size, handlePoint, heightOf, widthOf } from "./geometry";
import type { Matter } from "./matters";
import { type Outline, centreOf, extentOf, middles } from "./outline";
import type { Path } from "./path";
import { type Shape, originOf, scoreOf } from "./shapes";
import { TAG_HEIGHT, tagPlaces } from "./tags";
import { type Viewport, boxOnScreen, toScreen } from "./viewport";

const FONT = 'ui-sans-serif, system-ui, "Segoe UI", Roboto, sans-serif';
const UNSURE = 0.5; // a proposal below this score is drawn dashed
const HANDLE = 8;
const DOT = 5; // radius of a point
const TAG_FONT_SIZE = 12;
const TAG_PADDING = 3;
const ALL_TAGS_UP_TO = 60; // more shapes than this: tags only where they are asked for

export const PIN_COLORS: Readonly<Record<Matter["kind"], string>> = {
  error: "#ff6b6b",
  warning: "#f0b429",
  returned: "#c792ea",
  disputed: "#5aa9ff",
};

/** Told apart without colours too. */
export const PIN_SIGNS: Readonly<Record<Matter["kind"], string>> = {
  error: "×",
  warning: "!",
  returned: "↩",
  disputed: "?",
};

interface DrawingProps {
  readonly shapes: readonly Shape[];
  readonly selected: string | null;
  readonly marked: readonly string[];
  readonly vertex: number | null;
  readonly hovered: string | null;
  readonly palette: Palette;
  readonly pins: ReadonlyMap<string, Matter["kind"]>;
  readonly view: Viewport;
  readonly canvas: Size;
}

export function Drawing({ shapes, selected, marked, vertex, hovered, palette, pins, view, canvas }: DrawingProps) {
  const chosen = new Set(marked);
  const emphasis = (shape: Shape): number =>
    shape.id === selected || chosen.has(shape.id) ? 2 : shape.id === hovered ? 1 : 0;
  // Small shapes lie on top of large ones, the selected one on top of all.
  const ordered = [...shapes].sort((a, b) => emphasis(a) - emphasis(b) || extentOf(b) - extentOf(a));
  const tagged = ordered.filter((shape) => emphasis(shape) > 0 || shapes.length <= ALL_TAGS_UP_TO);
  const held = ordered.find((shape) => shape.id === selected);
  return (
    <>
      <Groups shapes={shapes} view={view} />
      {ordered.map((shape) => (
        <Form
          key={shape.id}
          outline={shape}
          view={view}
          color={colorOf(palette, shape.label)}
          dash={shape.outside ? [2, 5] : isUnsure(shape) ? [7, 4] : []}
          level={emphasis(shape)}
        />
      ))}
      <Links shapes={shapes} selected={selected} view={view} />
      <NameTags
        tags={tagged.map((shape) => ({
          key: shape.id,
          text: tagText(shape),
          box: boxOnScreen(view, shape.box),
          color: colorOf(palette, shape.label),
          dim: emphasis(shape) === 0 && selected !== null,
        }))}
        canvas={canvas}
      />
      {ordered.map((shape) => {
        const pin = pins.get(shape.id);
        return pin && <Pin key={shape.id} box={boxOnScreen(view, shape.box)} kind={pin} />;
      })}
      {held && <Grips shape={held} view={view} color={colorOf(palette, held.label)} vertex={vertex} />}
    </>
  );
}

const isUnsure = (shape: Shape): boolean => originOf(shape) === "model" && (scoreOf(shape) ?? 1) < UNSURE;

function tagText(shape: Shape): string {
  const score = scoreOf(shape);
  if (shape.outside) return `${shape.label} outside`;
  return score === null ? shape.label : `${shape.label} ${score.toFixed(2)}`;
}

interface FormProps {
  readonly outline: Outline;
  readonly view: Viewport;
  readonly color: string;
  readonly dash?: readonly number[];
  /** 0: as it is, 1: under the pointer, 2: selected. */
  readonly level?: number;
}

/** An outline of any geometry; a dark line below the coloured one keeps it visible on any image. */
export function Form({ outline, view, color, dash = [], level = 0 }: FormProps) {
  const width = level === 2 ? 2.5 : 2;
  const below = { stroke: "#000", opacity: 0.55, strokeWidth: width + 2 };
  const filled = level > 0 && outline.type !== "polyline" ? { fill: `${color}${level === 2 ? "2b" : "1a"}` } : {};
  const above = { stroke: color, strokeWidth: width, ...(dash.length > 0 ? { dash: [...dash] } : {}), ...filled };
  switch (outline.type) {
    case "box": {
      const box = boxOnScreen(view, outline.box);
      const frame = { x: box[0], y: box[1], width: widthOf(box), height: heightOf(box) };
      return both(<Rect {...frame} {...below} />, <Rect {...frame} {...above} />);
    }
    case "point": {
      const at = toScreen(view, centreOf(outline));
      const radius = level === 2 ? DOT + 1.5 : DOT;
      return both(
        <Circle {...at} radius={radius + 1.5} fill="#000" opacity={0.6} />,
        <Circle {...at} radius={radius} fill={color} stroke="#fff" strokeWidth={level > 0 ? 2 : 1} />,
      );
    }
    case "polygon":
    case "polyline": {
      const points = flat(outline.points, view);
      const form = { points, closed: outline.type === "polygon", lineJoin: "round" as const };
      return both(<Line {...form} {...below} />, <Line {...form} {...above} />);
    }
  }
}

const both = (below: ReactNode, above: ReactNode): ReactNode => (
  <>
    {below}
    {above}
  </>
);

const flat = (points: readonly Point[], view: Viewport): number[] =>
  points.flatMap((point) => {
    const { x, y } = toScreen(view, point);
    return [x, y];
  });

/** A dotted frame around shapes that belong together. */
function Groups({ shapes, view }: { shapes: readonly Shape[]; view: Viewport }) {
  const names = [...new Set(shapes.flatMap((shape) => shape.group ?? []))];
  return (
    <>
      {names.map((name) => {
        const boxes = shapes.filter((shape) => shape.group === name).map((shape) => boxOnScreen(view, shape.box));
        const [x1, y1] = [Math.min(...boxes.map((box) => box[0])) - 6, Math.min(...boxes.map((box) => box[1])) - 6];
        const [x2, y2] = [Math.max(...boxes.map((box) => box[2])) + 6, Math.max(...boxes.map((box) => box[3])) + 6];
        return (
          <Fragment key={name}>
            <Rect x={x1} y={y1} width={x2 - x1} height={y2 - y1} stroke="#fff" opacity={0.8} dash={[2, 5]} />
            <Note at={{ x: x1, y: y2 + 2 }} text={`group ${name}`} />
          </Fragment>
        );
      })}
    </>
  );
}

function Links({ shapes, selected, view }: { shapes: readonly Shape[]; selected: string | null; view: Viewport }) {
  const places = new Map(shapes.map((shape) => [shape.id, shape]));
  return (
    <>
      {shapes.flatMap((shape) =>
        shape.links.map((link) => {
          const target = places.get(link.to);
          if (!target) return null;
          const told = shape.id === selected || target.id === selected;
          const [from, to] = [toScreen(view, centreOf(shape)), toScreen(view, centreOf(target))];
          return <Bond key={`${shape.id} ${link.type} ${link.to}`} from={from} to={to} type={link.type} told={told} />;
        }),
      )}
    </>
  );
}

function Bond({ from, to, type, told }: { from: Point; to: Point; type: string; told: boolean }) {
  const points = [from.x, from.y, to.x, to.y];
  const head = { pointerLength: 9, pointerWidth: 8 };
  return (
    <>
      <Arrow points={points} {...head} stroke="#000" fill="#000" opacity={0.6} strokeWidth={told ? 5 : 4} />
      <Arrow
        points={points}
        {...head}
        stroke="#fff"
        fill="#fff"
        opacity={told ? 1 : 0.75}
        strokeWidth={told ? 2.5 : 1.5}
      />
      {told && <Note at={{ x: (from.x + to.x) / 2 + 6, y: (from.y + to.y) / 2 - 8 }} text={type} />}
    </>
  );
}

/** The line from the shape that is to be linked to the pointer, or to the shape that Enter would take. */
export function Leash({ from, to }: { from: Point; to: Point }) {
  return (
    <Arrow
      points={[from.x, from.y, to.x, to.y]}
      stroke="#9fd0ff"
      fill="#9fd0ff"
      dash={[6, 4]}
      pointerLength={9}
      pointerWidth={8}
      strokeWidth={2}
    />
  );
}

function Note({ at, text }: { at: Point; text: string }) {
  return (
    <Label x={at.x} y={at.y}>
      <Tag fill="#0b0e12" opacity={0.85} cornerRadius={3} />
      <Text text={text} fontFamily={FONT} fontSize={11} fill="#e8edf3" padding={3} wrap="none" />
    </Label>
  );
}

/** A mark beside the shape's upper right corner, clear of its handle: something is said of it. */
function Pin({ box, kind }: { box: Box; kind: Matter["kind"] }) {
  return (
    <Group x={box[2] + 9} y={box[1] - 9}>
      <Circle radius={8} fill={PIN_COLORS[kind]} stroke="#0b0e12" strokeWidth={1.5} />
      <Text
        text={PIN_SIGNS[kind]}
        x={-8}
        y={-5.5}
        width={16}
        align="center"
        fontFamily={FONT}
        fontSize={12}
        fontStyle="700"
        fill="#0b0e12"
      />
    </Group>
  );
}

/** A comment: where it was said. */
export function Bubble({ at, text, resolved }: { at: Point; text: string; resolved: boolean }) {
  return (
    <Group x={at.x} y={at.y} opacity={resolved ? 0.5 : 1}>
      <Line points={[0, 0, 4, -8, 10, -6]} closed fill="#e8edf3" />
      <Circle x={9} y={-13} radius={9} fill="#e8edf3" stroke="#0b0e12" strokeWidth={1} />
      <Text
        text={text}
        x={0}
        y={-18.5}
        width={18}
        align="center"
        fontFamily={FONT}
        fontSize={11}
        fontStyle="700"
        fill="#0b0e12"
      />
    </Group>
  );
}

export interface NameTag {
  readonly key: string;
  readonly text: string;
  /** Of the shape, on the canvas. */
  readonly box: Box;
  readonly color: string;
  readonly dim: boolean;
}

/** The names of shapes, none over another while there is room; the last lie on top, so they choose their places first. */
export function NameTags({ tags, canvas }: { tags: readonly NameTag[]; canvas: Size }) {
  const wishes = tags.map(({ box, text }) => ({ box, width: tagWidth(text) })).reverse();
  const places = tagPlaces(wishes, canvas).reverse();
  return (
    <>
      {tags.map(({ key, text, color, dim }, index) => (
        <Label key={key} {...places[index]} opacity={dim ? 0.72 : 1}>
          <Tag fill={color} cornerRadius={3} />
          <Text
            text={text}
            fontFamily={FONT}
            fontSize={TAG_FONT_SIZE}
            fontStyle="600"
            fill={inkOn(color)}
            padding={TAG_PADDING}
            height={TAG_HEIGHT}
            wrap="none"
          />
        </Label>
      ))}
    </>
  );
}

let pen: CanvasRenderingContext2D | null = null;

function tagWidth(text: string): number {
  pen ??= document.createElement("canvas").getContext("2d");
  if (pen === null) return text.length * 8 + 2 * TAG_PADDING;
  pen.font = `600 ${TAG_FONT_SIZE}px ${FONT}`;
  return pen.measureText(text).width + 2 * TAG_PADDING;
}

function Grips({ shape, view, color, vertex }: { shape: Shape; view: Viewport; color: string; vertex: number | null }) {
  if (shape.type === "box") return <Handles box={boxOnScreen(view, shape.box)} color={color} />;
  if (shape.type === "point") return null;
  return (
    <>
      {middles(shape).map(({ index, at }) => (
        <Circle
          key={`m${index}`}
          {...toScreen(view, at)}
          radius={3.5}
          fill="#000"
          opacity={0.7}
          stroke="#fff"
          strokeWidth={1}
        />
      ))}
      {shape.points.map((point, index) => (
        <Knob key={index} at={toScreen(view, point)} color={color} chosen={index === vertex} />
      ))}
    </>
  );
}

function Handles({ box, color }: { box: Box; color: string }) {
  const small = widthOf(box) < 34 || heightOf(box) < 34;
  return (
    <>
      {HANDLES.filter((handle) => !small || handle.length === 2).map((handle) => (
        <Knob key={handle} at={handlePoint(box, handle)} color={color} />
      ))}
    </>
  );
}

function Knob({ at, color, chosen = false }: { at: Point; color: string; chosen?: boolean }) {
  const side = chosen ? HANDLE + 4 : HANDLE;
  return (
    <Rect
      x={at.x - side / 2}
      y={at.y - side / 2}
      width={side}
      height={side}
      fill={chosen ? "#5aa9ff" : "#ffffff"}
      stroke={color === "#ffffff" ? "#000000" : color}
      strokeWidth={1.5}
      cornerRadius={1.5}
    />
  );
}

/** Lines across the canvas through the pointer, to begin a shape exactly at an object's edges. */
export function Crosshair({ at, canvas }: { at: Point; canvas: Size }) {
  const across = [0, at.y, canvas.width, at.y];
  const down = [at.x, 0, at.x, canvas.height];
  return (
    <Group>
      {[across, down].map((points) => (
        <Fragment key={points.join()}>
          <Line points={points} stroke="#000" opacity={0.5} strokeWidth={3} />
          <Line points={points} stroke="#fff" opacity={0.9} strokeWidth={1} dash={[5, 4]} />
        </Fragment>
      ))}
    </Group>
  );
}

/** The box being drawn, with its size in image pixels. */
export function Preview({ box, color, view }: { box: Box; color: string; view: Viewport }) {
  const outline = { type: "box" as const, box, points: [] };
  return (
    <>
      <Form outline={outline} view={view} color={color} level={1} />
      <SizeTag box={boxOnScreen(view, box)} of={box} />
    </>
  );
}

/** What there is of a polygon or line, and where its next edge would lie. `at`: CSS px of the canvas. */
export function PathPreview({
  path,
  at,
  color,
  view,
}: {
  path: Path;
  at: Point | null;
  color: string;
  view: Viewport;
}) {
  const points = [...flat(path.points, view), ...(at ? [at.x, at.y] : [])];
  return (
    <>
      <Line points={points} stroke="#000" opacity={0.55} strokeWidth={4} />
      <Line points={points} stroke={color} strokeWidth={2} />
      {path.points.map((point, index) => (
        <Knob key={index} at={toScreen(view, point)} color={color} chosen={index === 0 && path.type === "polygon"} />
      ))}
    </>
  );
}

export function SizeTag({ box, of }: { box: Box; of: Box }) {
  return <Note at={{ x: box[0], y: box[3] + 5 }} text={`${widthOf(of).toFixed(0)} × ${heightOf(of).toFixed(0)}`} />;
}
