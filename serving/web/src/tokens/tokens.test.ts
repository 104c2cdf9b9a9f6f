import { describe, expect, it } from "vitest";
import type { Me, Token } from "../api/types";
import { keptFrom, validFor } from "./tokens";

const token = (id: string, changes: Partial<Token> = {}): Token => ({
  id,
  name: id,
  role: "reviewer",
  project_id: "street",
  created_at: "2026-01-01T00:00:00Z",
  revoked_at: null,
  ...changes,
});

const me = (changes: Partial<Me> = {}): Me => ({
  id: "tok_me",
  name: "me",
  role: "operator",
  project_id: null,
  ...changes,
});

describe("tokens of a project", () => {
  it("are its own and those for all projects, without the revoked ones", () => {
    const all = [
      token("everywhere", { project_id: null }),
      token("here"),
      token("elsewhere", { project_id: "other" }),
      token("gone", { revoked_at: "2026-01-02T00:00:00Z" }),
    ];
    expect(validFor(all, "street").map(({ id }) => id)).toEqual(["here", "everywhere"]);
  });

  it("are not ended by who is signed in with one, nor beyond the own project", () => {
    expect(keptFrom(me(), token("tok_me"))).toContain("signed in");
    expect(keptFrom(me({ project_id: "street" }), token("all", { project_id: null }))).toContain("all projects");
    expect(keptFrom(me(), token("all", { project_id: null }))).toBeNull();
    expect(keptFrom(me({ project_id: "street" }), token("ada"))).toBeNull();
  });
});
