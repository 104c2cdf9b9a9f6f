/** All images that the champion has predicted, as points on a plane: what lies close is alike to the model. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Project } from "../api/types";
import { count } from "../app/format";
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
import { rowsOf } from "./columns";
import { gridOf } from "./grid";
import { useItems } from "./items";
import { enclosed } from "./lasso";
import "./map.css";
import { sceneOf } from "./painter";
import { planeOf } from "./plane";
import { queueBody, queuedWords } from "./queue";
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
  const items = useItems(api, project.id);
  const canvas = useRef<MapHandle>(null);
  const now = useNow(5_000);
  const [by, setBy] = useState<ColourBy>("risk");
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [hovered, setHovered] = useState<number | null>(null);
  const [picked, setPicked] = useState<number | null>(null);
  const [selected, setSelected] = useState<Int32Array>(new Int32Array());
  const [lassoing, setLassoing] = useState(false);
  const [queueing, setQueueing] = useState<Int32Array | null>(null);

  const { labels } = project.recipe;
  const palette = useMemo(() => paletteOf(labels), [labels]);
  const anomalies = useMemo(() => knowsAnomalies(columns), [columns]);
  const plane = useMemo(() => planeOf(columns.x, columns.y), [columns]);
  const grid = useMemo(() => gridOf(plane), [plane]);
  const colouring = useMemo(() => colouringOf(columns, by, palette), [columns, by, palette]);
  const scene = useMemo(() => sceneOf(plane, colouring, hidden, selected), [plane, colouring, hidden, selected]);
  const leftOut = useCallback((row: number) => hidden.has(colouring.codes[row] ?? 0), [hidden, colouring]);

  // A new drawing has its rows elsewhere: what was picked and selected is found again by its images.
  const before = useRef(columns);
  useEffect(() => {
    const old = before.current;
    if (old === columns) return;
    before.current = columns;
    const named = (rows: Iterable<number>): Set<string> => new Set(Array.from(rows, (row) => old.item(row)));
    setHovered(null);
    setPicked((row) => (row === null ? null : (rowsOf(columns, named([row]))[0] ?? null)));
    setSelected((rows) => rowsOf(columns, named(rows)));
  }, [columns]);

  const enclose = useCallback(
    (polygon: readonly Point[]) => setSelected(enclosed(plane, polygon, leftOut)),
    [plane, leftOut],
  );
  const selectSeen = () => canvas.current && enclose(canvas.current.seen());
  const clear = () => {
    setSelected(new Int32Array());
    setPicked(null);
  };
  const copy = async (digests: readonly string[]) => {
    try {
      await navigator.clipboard.writeText(digests.join("\n"));
      notify({ tone: "info", title: `${count(digests.length)} copied`, detail: "One id a line.", hint: "" });
    } catch {
      notify({
        tone: "error",
        title: "The browser lets this page copy nothing",
        detail: digests.slice(0, 3).join(" "),
        hint: "It does over https and on localhost.",
      });
    }
  };
  const queue = async (rows: Int32Array) => {
    setQueueing(null);
    const wanted = Array.from(rows, (row) => columns.item(row));
    try {
      const made = await api.select(project.id, queueBody(wanted));
      notify({ tone: "info", ...queuedWords(wanted, made.picks), hint: "" });
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
  };
  const note = by === "anomaly" && !anomalies ? "Not known: this model came without training images." : "";

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
            onHover={setHovered}
            onPick={setPicked}
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
            onCopy={(digests) => void copy(digests)}
          />
          <SelectionPanel
            columns={columns}
            selected={selected}
            picked={picked}
            items={items}
            most={MOST_QUEUED}
            onPick={setPicked}
            onSelectSeen={selectSeen}
            onClear={clear}
            onQueue={setQueueing}
            onCopy={(digests) => void copy(digests)}
          />
          <Legend
            by={by}
            onBy={(next) => {
              setBy(next);
              setHidden(new Set());
            }}
            legend={colouring.legend}
            note={note}
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
