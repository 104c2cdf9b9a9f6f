/** The Konva drawing of shapes: outlines, tags with label and score, and the handles of the selected one. */
import { Fragment } from "react";
import { Group, Label, Line, Rect, Tag, Text } from "react-konva";
import { type Palette, colorOf, inkOn } from "./colors";
import { type Box, HANDLES, type Point, type Size, areaOf, handlePoint, heightOf, widthOf } from "./geometry";
import { type Shape, originOf, scoreOf } from "./shapes";
import { type Viewport, boxOnScreen } from "./viewport";

const FONT = 'ui-sans-serif, system-ui, "Segoe UI", Roboto, sans-serif';
const UNSURE = 0.5; // a proposal below this score is drawn dashed
const HANDLE = 8;
const TAG_HEIGHT = 18;
const ALL_TAGS_UP_TO = 60; // more shapes than this: tags only where they are asked for

interface BoxesProps {
  readonly shapes: readonly Shape[];
  readonly selected: string | null;
  readonly hovered: string | null;
  readonly palette: Palette;
  readonly view: Viewport;
  readonly canvas: Size;
}

export function Boxes({ shapes, selected, hovered, palette, view, canvas }: BoxesProps) {
  const emphasis = (shape: Shape): number => (shape.id === selected ? 2 : shape.id === hovered ? 1 : 0);
  // Small boxes lie on top of large ones, the selected one on top of all.
  const ordered = [...shapes].sort((a, b) => emphasis(a) - emphasis(b) || areaOf(b.box) - areaOf(a.box));
  const tagged = ordered.filter((shape) => emphasis(shape) > 0 || shapes.length <= ALL_TAGS_UP_TO);
  const held = ordered.find((shape) => shape.id === selected);
  return (
    <>
      {ordered.map((shape) => {
        const color = colorOf(palette, shape.label);
        const level = emphasis(shape);
        const box = boxOnScreen(view, shape.box);
        return <Outline key={shape.id} box={box} color={color} dashed={isUnsure(shape)} level={level} />;
      })}
      {tagged.map((shape) => (
        <NameTag
          key={shape.id}
          text={tagText(shape)}
          box={boxOnScreen(view, shape.box)}
          color={colorOf(palette, shape.label)}
          canvas={canvas}
          dim={emphasis(shape) === 0 && selected !== null}
        />
      ))}
      {held && <Handles box={boxOnScreen(view, held.box)} color={colorOf(palette, held.label)} />}
    </>
  );
}

const isUnsure = (shape: Shape): boolean => originOf(shape) === "model" && (scoreOf(shape) ?? 1) < UNSURE;

function tagText(shape: Shape): string {
  const score = scoreOf(shape);
  return score === null ? shape.label : `${shape.label} ${score.toFixed(2)}`;
}

function Outline({ box, color, dashed, level }: { box: Box; color: string; dashed: boolean; level: number }) {
  const frame = { x: box[0], y: box[1], width: widthOf(box), height: heightOf(box) };
  const width = level === 2 ? 2.5 : 2;
  return (
    <>
      {/* a dark line below the coloured one keeps it visible on any image */}
      <Rect {...frame} stroke="#000" opacity={0.55} strokeWidth={width + 2} />
      <Rect
        {...frame}
        stroke={color}
        strokeWidth={width}
        {...(dashed ? { dash: [7, 4] } : {})}
        {...(level > 0 ? { fill: `${color}${level === 2 ? "2b" : "1a"}` } : {})}
      />
    </>
  );
}

function NameTag({
  text,
  box,
  color,
  canvas,
  dim,
}: {
  text: string;
  box: Box;
  color: string;
  canvas: Size;
  dim: boolean;
}) {
  const above = box[1] - TAG_HEIGHT - 1;
  const y = above >= 2 ? above : Math.min(Math.max(box[1] + 2, 2), canvas.height - TAG_HEIGHT);
  const x = Math.min(Math.max(box[0] - 1, 2), canvas.width - 24);
  return (
    <Label x={x} y={y} opacity={dim ? 0.72 : 1}>
      <Tag fill={color} cornerRadius={3} />
      <Text
        text={text}
        fontFamily={FONT}
        fontSize={12}
        fontStyle="600"
        fill={inkOn(color)}
        padding={3}
        height={TAG_HEIGHT}
        wrap="none"
      />
    </Label>
  );
}

function Handles({ box, color }: { box: Box; color: string }) {
  const small = widthOf(box) < 34 || heightOf(box) < 34;
  return (
    <>
      {HANDLES.filter((handle) => !small || handle.length === 2).map((handle) => {
        const { x, y } = handlePoint(box, handle);
        return (
          <Rect
            key={handle}
            x={x - HANDLE / 2}
            y={y - HANDLE / 2}
            width={HANDLE}
            height={HANDLE}
            fill="#ffffff"
            stroke={color === "#ffffff" ? "#000000" : color}
            strokeWidth={1.5}
            cornerRadius={1.5}
          />
        );
      })}
    </>
  );
}

/** Lines across the canvas through the pointer, to begin a box exactly at an object's edges. */
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
  const screen = boxOnScreen(view, box);
  return (
    <>
      <Outline box={screen} color={color} dashed={false} level={1} />
      <SizeTag box={screen} of={box} />
    </>
  );
}

export function SizeTag({ box, of }: { box: Box; of: Box }) {
  return (
    <Label x={box[0]} y={box[3] + 5}>
      <Tag fill="#0b0e12" opacity={0.85} cornerRadius={3} />
      <Text
        text={`${widthOf(of).toFixed(0)} × ${heightOf(of).toFixed(0)}`}
        fontFamily={FONT}
        fontSize={11}
        fill="#e8edf3"
        padding={3}
        wrap="none"
      />
    </Label>
  );
}
