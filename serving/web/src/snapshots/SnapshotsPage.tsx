/** Which data cycles learned from and were judged by, and which of it must not get worse. For operators. */
import "../app/cards.css";
import type { ViewProps } from "../app/view";
import { DiffView } from "./DiffView";
import { SlicesCard } from "./SlicesCard";
import { SnapshotList } from "./SnapshotList";
import { SnapshotView } from "./SnapshotView";
import { placed } from "./snapshots";
import "./snapshots.css";

export default function SnapshotsPage(props: ViewProps) {
  const { place } = props;
  const [first, second] = place === null ? [] : placed(place);
  return (
    <div className="overview">
      {first === undefined ? (
        <>
          <SnapshotList {...props} />
          <SlicesCard {...props} />
        </>
      ) : second === undefined ? (
        <SnapshotView key={first} {...props} digest={first} />
      ) : (
        <DiffView key={place} {...props} before={first} after={second} />
      )}
    </div>
  );
}
