/** Clips and other groups of items with an order: what is there, uploading a video, tasks over frames. For operators. */
import "../app/cards.css";
import { usePages } from "../app/asked";
import type { ViewProps } from "../app/view";
import { GroupsCard } from "./GroupsCard";
import { UploadCard } from "./UploadCard";
import { groupsAfter } from "./calls";

const REFRESH_MS = 3_000; // frames of a video are shown as they come

export default function ClipsPage({ api, project, notify }: ViewProps) {
  const asked = usePages(
    async (after) => {
      const { groups, next } = await groupsAfter(api, project.id, after);
      return { rows: groups, next };
    },
    project.id,
    REFRESH_MS,
  );
  return (
    <div className="overview">
      <UploadCard api={api} project={project.id} notify={notify} onCame={asked.refresh} />
      <GroupsCard api={api} project={project.id} notify={notify} asked={asked} onMore={asked.more} />
    </div>
  );
}
