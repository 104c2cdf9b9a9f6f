import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Role } from "../api/types";
import { ProblemNote } from "../app/ProblemNote";
import { Secret } from "../app/Secret";
import type { Notice } from "../review/session";
import { createToken } from "./calls";
import "./tokens.css";

/** What each may do, in a few words. */
export const ROLES: Record<Role, string> = {
  reviewer: "labels and corrects",
  producer: "sends images for predictions",
  operator: "sets this project up",
};

interface Props {
  readonly api: Api;
  /** Its id: the token is for it alone. */
  readonly project: string;
  readonly notify: (notice: Notice) => void;
  readonly onMade?: () => void;
}

/** A token for somebody, whose secret is shown once; then the next one. */
export function TokenForm({ api, project, notify, onMade }: Props) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("reviewer");
  const [made, setMade] = useState<{ readonly name: string; readonly secret: string } | null>(null);
  const [problem, setProblem] = useState<Described | null>(null);
  const make = async () => {
    setProblem(null);
    try {
      setMade(await createToken(api, { name: name.trim(), role, project_id: project }));
      setName("");
      onMade?.();
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
              event.preventDefault(); // it would submit the dialog
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
