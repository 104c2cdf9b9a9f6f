import type { Api } from "../api/client";
import type { NewToken, Project, ProjectBody, TokenBody } from "../api/types";

export const createProject = (api: Api, body: ProjectBody) => api.json<Project>("POST", "/v1/projects", body);

/** The secret is in this answer alone. */
export const createToken = (api: Api, body: TokenBody) => api.json<NewToken>("POST", "/v1/tokens", body);
