/** Many images into the project, chosen or dropped. Sending goes on while other views are looked at. For operators. */
import { useState, useSyncExternalStore } from "react";
import type { Api } from "../api/client";
import { Back } from "../app/Back";
import { Card } from "../app/Card";
import type { ViewProps } from "../app/view";
import type { Notice } from "../review/session";
import { ImportCard } from "../datasets/ImportCard";
import { ChooseForm, type Wanted } from "./ChooseForm";
import { UploadProgress } from "./UploadProgress";
import "./adding.css";
import { cameInWords, sinceQuery } from "./adding";
import { sendingTo } from "./calls";
import { Upload, keepUpload, uploadOf } from "./upload";

interface Props extends Pick<ViewProps, "api" | "project" | "notify" | "onPlace"> {
  /** Shows the list of what meets the query. */
  readonly onList: (query: string) => void;
}

export function AddImagesView({ api, project, notify, onPlace, onList }: Props) {
  const [upload, setUpload] = useState(() => uploadOf(api, project.id));
  const take = (next: Upload | null) => {
    keepUpload(api, project.id, next);
    setUpload(next);
  };
  const begin = ({ pictures, ...how }: Wanted) => {
    const next = new Upload(pictures, sendingTo(api, project.id, how));
    take(next);
    void next.run().then(() => notify(endOf(next)));
  };
  return (
    <>
      <Back to="Items" testid="back-to-items" onBack={() => onPlace(null)} />
      <Card title="Add images" testid="add-images-card">
        {upload === null ? (
          <ChooseForm hasModel={project.champion_id !== null} onAdd={begin} />
        ) : (
          <Sending
            api={api}
            project={project.id}
            upload={upload}
            notify={notify}
            onList={onList}
            onMore={() => take(null)}
          />
        )}
      </Card>
      <ImportCard api={api} project={project.id} notify={notify} />
    </>
  );
}

/** Told wherever one looks by then. */
const endOf = ({ progress }: Upload): Notice => ({
  tone: progress.failures.length > 0 ? "error" : "info",
  title: progress.phase === "cancelled" ? "Adding images was cancelled" : "Images were added",
  detail: cameInWords(progress),
  hint: progress.failures.length > 0 ? "What was not taken is named at Items, Add images." : "",
});

interface SendingProps extends Pick<ViewProps, "notify"> {
  readonly api: Api;
  readonly project: string;
  readonly upload: Upload;
  readonly onList: (query: string) => void;
  readonly onMore: () => void;
}

function Sending({ api, project, upload, notify, onList, onMore }: SendingProps) {
  const progress = useSyncExternalStore(upload.subscribe, () => upload.progress);
  return (
    <UploadProgress
      api={api}
      project={project}
      progress={progress}
      added={upload.digests}
      notify={notify}
      onCancel={upload.cancel}
      onAgain={() => void upload.again()}
      onList={() => onList(sinceQuery(upload.begun + api.clockOffset))}
      onMore={onMore}
    />
  );
}
