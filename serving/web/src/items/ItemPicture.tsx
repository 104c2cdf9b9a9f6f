/** An item's picture with what the newest prediction found and the ground truth over it, and both listed beside. */
import { useEffect, useMemo, useRef, useState } from "react";
import { Layer, Stage } from "react-konva";
import type { Api } from "../api/client";
import type { Item } from "../api/types";
import { ProblemNote } from "../app/ProblemNote";
import { useSize } from "../app/hooks";
import { Picture } from "../review/Canvas";
import { Form, NameTags } from "../review/Drawing";
import { Images } from "../review/images";
import { useImage } from "../review/useImage";
import { boxOnScreen, fitted } from "../review/viewport";
import { type ItemLayer, type LayerName, layersOf, nameOf, placeOf } from "./layers";

interface Props {
  readonly api: Api;
  readonly item: Item;
  /** Layers that are not shown. */
  readonly hidden: ReadonlySet<LayerName>;
  readonly onHide: (hidden: ReadonlySet<LayerName>) => void;
  /** Looks for what is like a detection of the newest prediction. */
  readonly onLikeBox: (number: number, words: string) => void;
}

export function ItemPicture({ api, item, hidden, onHide, onLikeBox }: Props) {
  const layers = useMemo(() => layersOf(item), [item]);
  const [pointed, setPointed] = useState<string | null>(null);
  const toggle = (name: LayerName) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    onHide(next);
  };
  return (
    <div className="item-picture">
      <Drawn api={api} item={item} layers={layers.filter(({ name }) => !hidden.has(name))} pointed={pointed} />
      <div className="item-layers">
        {[...layers].reverse().map((layer) => (
          <Listed
            key={layer.name}
            layer={layer}
            shown={!hidden.has(layer.name)}
            onToggle={() => toggle(layer.name)}
            onPoint={setPointed}
            onLikeBox={onLikeBox}
          />
        ))}
      </div>
    </div>
  );
}

interface DrawnProps extends Pick<Props, "api" | "item"> {
  readonly layers: readonly ItemLayer[];
  readonly pointed: string | null;
}

const keyOf = (layer: ItemLayer, id: string): string => `${layer.name} ${id}`;

function Drawn({ api, item, layers, pointed }: DrawnProps) {
  const container = useRef<HTMLDivElement>(null);
  const size = useSize(container);
  const images = useMemo(() => new Images((picture) => api.image(picture)), [api]);
  useEffect(() => () => images.keepOnly([]), [images]);
  const { loaded, problem } = useImage(images, { item_digest: item.digest, image_url: item.image_url }, null);
  const canvas = size ?? { width: 1, height: 1 };
  const view = fitted(item, canvas);
  const drawn = layers.flatMap((layer) =>
    layer.shapes.map((shape) => ({ key: keyOf(layer, shape.id), shape, color: layer.color, dash: layer.dash })),
  );
  return (
    <div
      ref={container}
      className="item-canvas"
      role="img"
      aria-label={`The item with ${drawn.length} shapes`}
      data-testid="item-canvas"
      data-ready={loaded !== null && size !== null}
      data-drawn={drawn.length}
    >
      {problem && <ProblemNote problem={problem} testid="item-picture-problem" />}
      {loaded && size && (
        <Stage width={size.width} height={size.height} listening={false}>
          <Layer listening={false} imageSmoothingEnabled={view.scale < 1}>
            <Picture loaded={loaded} image={item} view={view} />
          </Layer>
          <Layer listening={false}>
            {drawn.map(({ key, shape, color, dash }) => (
              <Form key={key} outline={shape} view={view} color={color} dash={dash} level={key === pointed ? 2 : 0} />
            ))}
            <NameTags
              tags={drawn.map(({ key, shape, color }) => ({
                key,
                text: nameOf(shape),
                box: boxOnScreen(view, shape.box),
                color,
                dim: pointed !== null && key !== pointed,
              }))}
              canvas={canvas}
            />
          </Layer>
        </Stage>
      )}
    </div>
  );
}

interface ListedProps {
  readonly layer: ItemLayer;
  readonly shown: boolean;
  readonly onToggle: () => void;
  readonly onPoint: (key: string | null) => void;
  readonly onLikeBox: Props["onLikeBox"];
}

function Listed({ layer, shown, onToggle, onPoint, onLikeBox }: ListedProps) {
  const { name, title, color, dash, shapes, numbers, nothing } = layer;
  return (
    <section aria-label={title} data-testid={`layer-${name}`}>
      <label className="check">
        <input
          type="checkbox"
          checked={shown}
          disabled={shapes.length === 0}
          data-testid={`show-${name}`}
          onChange={onToggle}
        />
        <svg viewBox="0 0 28 8" className="swatch" aria-hidden="true">
          <path d="M0 4h28" stroke={color} strokeDasharray={dash.join(" ")} strokeWidth="3" />
        </svg>
        <strong>{title}</strong> {shapes.length > 0 && <span className="muted">{shapes.length}</span>}
      </label>
      {nothing !== "" && <p className="muted small">{nothing}</p>}
      <ul className="lines">
        {shapes.map((shape, at) => (
          <li
            key={shape.id}
            data-testid={`${name}-shape`}
            onMouseEnter={() => onPoint(keyOf(layer, shape.id))}
            onMouseLeave={() => onPoint(null)}
          >
            <span className="grow">{nameOf(shape)}</span>
            <LikeBox number={numbers[at] ?? null} words={nameOf(shape)} onLikeBox={onLikeBox} />
            <span className="muted small">{placeOf(shape)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface LikeBoxProps extends Pick<Props, "onLikeBox"> {
  readonly number: number | null;
  readonly words: string;
}

function LikeBox({ number, words, onLikeBox }: LikeBoxProps) {
  if (number === null) return null;
  return (
    <button
      className="link small"
      data-testid={`like-box-${number}`}
      title="Boxes on other images that look like this one"
      aria-label={`More like this box: ${words}`}
      onClick={() => onLikeBox(number, words)}
    >
      Alike
    </button>
  );
}
