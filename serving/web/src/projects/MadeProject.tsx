import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Project, Role } from "../api/types";
import { Dialog } from "../app/Dialog";
import { ProblemNote } from "../app/ProblemNote";
import { Secret } from "../app/Secret";
import type { Notice } from "../review/session";
import { createToken } from "./calls";

interface Props {
  readonly api: Api;
  readonly project: Project;
  readonly notify: (notice: Notice) => void;
  readonly onOpen: () => void;
}

const ROLES: Record<Role, string> = {
  reviewer: "labels and corrects",
  producer: "sends images for predictions",
  operator: "sets this project up",
};

/** The project is there; tokens for others can be made at once, each shown once. */
export function MadeProject({ api, project, notify, onOpen }: Props) {
  return (
    <Dialog title={`${project.id} is made`} onClose={onOpen} onSubmit={onOpen} testid="made-project">
      <p>
        You can work in it with the token that you have. Others need one of their own, for this project alone; more are
        made any time with <code>askance token create</code>.
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

function TokenForm({ api, project, notify }: { api: Api; project: string; notify: (notice: Notice) => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("reviewer");
  const [made, setMade] = useState<{ readonly name: string; readonly secret: string } | null>(null);
  const [problem, setProblem] = useState<Described | null>(null);
  const make = async () => {
    setProblem(null);
    try {
      setMade(await createToken(api, { name: name.trim(), role, project_id: project }));
      setName("");
    } catch (error) {
      setProblem(describe(error));
    }
  };
  return (
    <>
      <div className="token-row">
        <label className="field">
          <span>Name</span>
          <input
            data-testid="token-name"
            maxLength={100}
            placeholder="ada"
            value={name}
            onChange={(event) => setName(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault(); // it would open the project
              if (name.trim() !== "") void make();
            }}
          />
        </label>
        <label className="field">
          <span>Role: {ROLES[role]}</span>
          <select data-testid="token-role" value={role} onChange={(event) => setRole(event.target.value as Role)}>
            {Object.keys(ROLES).map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <button type="button" data-testid="make-token" disabled={name.trim() === ""} onClick={() => void make()}>
          Make a token
        </button>
      </div>
      {problem && <ProblemNote problem={problem} testid="token-refused" />}
      {made && (
        <div className="callout" role="status" data-testid="made-token">
          <p>
            The token of <strong>{made.name}</strong>, shown once: copy it now and give it to them.
          </p>
          <Secret secret={made.secret} notify={notify} />
        </div>
      )}
    </>
  );
}
