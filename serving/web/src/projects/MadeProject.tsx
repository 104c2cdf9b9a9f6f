import type { Api } from "../api/client";
import type { Project } from "../api/types";
import { Dialog } from "../app/Dialog";
import type { Notice } from "../review/session";
import { TokenForm } from "../tokens/TokenForm";

interface Props {
  readonly api: Api;
  readonly project: Project;
  readonly notify: (notice: Notice) => void;
  readonly onOpen: () => void;
}

/** The project is there; tokens for others can be made at once, each shown once. */
export function MadeProject({ api, project, notify, onOpen }: Props) {
  return (
    <Dialog title={`${project.id} is made`} onClose={onOpen} onSubmit={onOpen} testid="made-project">
      <p>
        You can work in it with the token that you have. Others need one of their own, for this project alone; more are
        made any time at Reviewers, or with <code>askance token create</code>.
      </p>
      <TokenForm api={api} project={project.id} notify={notify} />
      <footer>
        <button className="primary" data-first data-testid="open-made">
          Open {project.id}
        </button>
      </footer>
    </Dialog>
  );
}
