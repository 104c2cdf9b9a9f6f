/** A new project: its name and labels; then a token for who labels in it. For operators. */
import { useState } from "react";
import type { Api } from "../api/client";
import type { Me, Project } from "../api/types";
import { Dialog } from "../app/Dialog";
import { ProblemNote } from "../app/ProblemNote";
import type { Notice } from "../review/session";
import { MadeProject } from "./MadeProject";
import { ProjectForm } from "./ProjectForm";
import { notAllowed } from "./newProject";
import "./projects.css";

interface Props {
  readonly api: Api;
  readonly me: Me;
  /** Ids. */
  readonly taken: readonly string[];
  readonly notify: (notice: Notice) => void;
  readonly onCreated: (project: Project) => void;
  readonly onOpen: (project: Project) => void;
  readonly onClose: () => void;
}

export function NewProjectDialog({ api, me, taken, notify, onCreated, onOpen, onClose }: Props) {
  const [made, setMade] = useState<Project | null>(null);
  const refused = notAllowed(me);
  if (refused) {
    return (
      <Dialog title="New project" onClose={onClose} onSubmit={onClose} testid="new-project-dialog">
        <ProblemNote problem={refused} testid="not-allowed" />
        <footer>
          <button className="primary" data-first>
            Close
          </button>
        </footer>
      </Dialog>
    );
  }
  if (made) return <MadeProject api={api} project={made} notify={notify} onOpen={() => onOpen(made)} />;
  return (
    <ProjectForm
      api={api}
      taken={taken}
      onMade={(project) => {
        onCreated(project);
        setMade(project);
      }}
      onClose={onClose}
    />
  );
}
