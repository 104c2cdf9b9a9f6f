import { type Api, at } from "../api/client";
import type {
  Agreement,
  GoldenItem,
  GoldenList,
  Person,
  PersonBody,
  ReviewerBody,
  ReviewerDetail,
  Reviewers,
} from "../api/types";
import { type Refused, reasonOf } from "./reviewers";

const person = (project: string, id: string): string => at(project, `/reviewers/${encodeURIComponent(id)}`);
const golden = (project: string, digest: string): string => at(project, `/items/${encodeURIComponent(digest)}/golden`);

export const reviewers = (api: Api, project: string) => api.json<Reviewers>("GET", at(project, "/reviewers"));
export const reviewer = (api: Api, project: string, id: string) => api.json<ReviewerDetail>("GET", person(project, id));
export const changeReviewer = (api: Api, project: string, id: string, body: ReviewerBody) =>
  api.json<ReviewerDetail>("PATCH", person(project, id), body);

export const people = (api: Api) => api.json<Person[]>("GET", "/v1/people");
export const changePerson = (api: Api, id: string, body: PersonBody) =>
  api.json<Person>("PATCH", `/v1/people/${encodeURIComponent(id)}`, body);

/** works: the last that several people answered. */
export const agreement = (api: Api, project: string, works: number) =>
  api.json<Agreement>("GET", at(project, `/agreement?works=${works}`));

export const goldenItems = (api: Api, project: string) => api.json<GoldenList>("GET", at(project, "/golden"));
/** Their ground truth is trusted, of one after the other; gives those that were refused, which keep no other back. */
export async function markAllGolden(api: Api, project: string, digests: readonly string[]): Promise<Refused[]> {
  const refused: Refused[] = [];
  for (const id of digests) {
    try {
      await api.json<GoldenItem>("PUT", golden(project, id), {});
    } catch (error) {
      refused.push({ id, reason: reasonOf(error) });
    }
  }
  return refused;
}
export const removeGolden = (api: Api, project: string, digest: string) => api.send("DELETE", golden(project, digest));
