import type { Api } from "../api/client";
import type { Project, ProjectBody } from "../api/types";

export const createProject = (api: Api, body: ProjectBody) => api.json<Project>("POST", "/v1/projects", body);
