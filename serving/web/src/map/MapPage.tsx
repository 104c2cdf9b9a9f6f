/** All images that the champion has predicted, as points on a plane: what lies close is alike to the model. */
import { useMemo, useRef, useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Project } from "../api/types";
import { useNow } from "../app/hooks";
import { paletteOf } from "../review/colors";
import type { Point } from "../review/geometry";
import type { Notice } from "../review/session";
import { Legend } from "./Legend";
import { MapCanvas, type MapHandle } from "./MapCanvas";
import { MapPanel } from "./MapPanel";
import { MapTools } from "./MapTools";
import { NoMap } from "./NoMap";
import { PointCard } from "./PointCard";
import { QueueDialog } from "./QueueDialog";
import { SelectionPanel } from "./SelectionPanel";
import { type ColourBy, colouringOf, knowsAnomalies } from "./colouring";
import { copied } from "./clipboard";
import { gridOf } from "./grid";
import { useItems } from "./items";
import { enclosed } from "./lasso";
import "./map.css";
import { sceneOf } from "./painter";
import { planeOf } from "./plane";
import { queued } from "./queue";
import { useChosen } from "./useChosen";
import { type Drawing, type MapState, useMap } from "./useMap";

interface Props {
  readonly api: Api;
  readonly project: Project;
  readonly notify: (notice: Notice) => void;
}

const MOST_QUEUED = 1000; // that the API takes in `like`

export default function MapPage({ api, project, notify }: Props) {
  const { map, ask } = useMap(api, project.id);
  const [refusal, setRefusal] = useState<Described | null>(null);
  const askFor = async (refit: boolean) => {
    try {
      await ask(refit);
      setRefusal(null);
    } catch (error) {
      setRefusal(describe(error));
      if (map.drawing) notify({ tone: "error", ...describe(error) });
    }
  };
  if (!map.drawing) return <NoMap map={map} refusal={refusal} onAsk={() => void askFor(false)} />;
  return (
    <Shown
      api={api}
      project={project}
      notify={notify}
      map={map}
      drawing={map.drawing}
      onAsk={(refit) => void askFor(refit)}
    />
  );
}

interface ShownProps extends Props {
  readonly map: MapState;
  readonly drawing: Drawing;
  readonly onAsk: (refit: boolean) => void;
}

function Shown({ api, project, notify, map, drawing, onAsk }: ShownProps) {
  const { columns } = drawing;
  const { chosen, hover, pick, select, clear } = useChosen(columns);
  const { hovered, picked, selected } = chosen;
  const items = useItems(api, project.id);
  const canvas = useRef<MapHandle>(null);
  const now = useNow(5_000);
  const [by, setBy] = useState<ColourBy>("risk");
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [lassoing, setLassoing] = useState(false);
  const [queueing, setQueueing] = useState<readonly string[] | null>(null);

  const { labels } = project.recipe;
  const palette = useMemo(() => paletteOf(labels), [labels]);
  const anomalies = useMemo(() => knowsAnomalies(columns), [columns]);
  const plane = useMemo(() => planeOf(columns.x, columns.y), [columns]);
  const grid = useMemo(() => gridOf(plane), [plane]);
  const colouring = useMemo(() => colouringOf(columns, by, palette), [columns, by, palette]);
  const scene = useMemo(() => sceneOf(plane, colouring, hidden, selected), [plane, colouring, hidden, selected]);

  const leftOut = (row: number): boolean => hidden.has(colouring.codes[row] ?? 0);
  const enclose = (polygon: readonly Point[]) => select(enclosed(plane, polygon, leftOut));
  const copy = (digests: readonly string[]) => void copied(digests).then(notify);
  const queue = async (wanted: readonly string[]) => {
    setQueueing(null);
    try {
      notify(await queued(api, project.id, wanted));
      onAsk(false); // so that the map knows of their tasks
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
  };

  return (
    <div className="review map-page">
      <div className="stage">
        {map.problem && (
          <p className="banner quiet error" role="status">
            {map.problem.title}: what is shown may be old. {map.problem.hint}
          </p>
        )}
        <div className="view">
          <MapCanvas
            scene={scene}
            grid={grid}
            leftOut={leftOut}
            hovered={hovered}
            picked={picked}
            lassoing={lassoing}
            onHover={hover}
            onPick={pick}
            onEnclose={enclose}
            onEscape={clear}
            handle={canvas}
          />
          <MapTools canvas={canvas} lassoing={lassoing} onLasso={() => setLassoing(!lassoing)} />
        </div>
      </div>
      <aside className="side">
        <div className="panels">
          <PointCard
            columns={columns}
            row={hovered ?? picked}
            items={items}
            palette={palette}
            anomalies={anomalies}
            now={now}
            onCopy={copy}
          />
          <SelectionPanel
            columns={columns}
            selected={selected}
            picked={picked}
            items={items}
            most={MOST_QUEUED}
            onPick={pick}
            onSelectSeen={() => canvas.current && enclose(canvas.current.seen())}
            onClear={clear}
            onQueue={setQueueing}
            onCopy={copy}
          />
          <Legend
            by={by}
            onBy={(next) => {
              setBy(next);
              setHidden(new Set());
            }}
            legend={colouring.legend}
            note={by === "anomaly" && !anomalies ? "Not known: this model came without training images." : ""}
            hidden={hidden}
            onToggle={(code) => setHidden(toggled(hidden, code))}
          />
          {map.status && <MapPanel status={map.status} champion={map.champion} now={now} onAsk={onAsk} />}
          <p className="panel muted small">
            What lies close is alike to the model; how far apart two groups lie says little. Drag to move, wheel or
            pinch to zoom.
          </p>
        </div>
      </aside>
      {queueing && (
        <QueueDialog images={queueing.length} onClose={() => setQueueing(null)} onQueue={() => void queue(queueing)} />
      )}
    </div>
  );
}

function toggled(codes: ReadonlySet<number>, code: number): ReadonlySet<number> {
  const next = new Set(codes);
  if (!next.delete(code)) next.add(code);
  return next;
}
