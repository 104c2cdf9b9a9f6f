/** An answer on its way: which request says it. */
import type { Api } from "../api/client";
import type { Entry } from "./outbox";

export type DeliveryApi = Pick<Api, "submit" | "skip" | "accept" | "giveBack">;

/** Sends it; answers what the service said. Throws what went wrong. */
export function delivered(api: DeliveryApi, { answer, epoch, taskId }: Entry): Promise<unknown> {
  switch (answer.kind) {
    case "submit": {
      const { shapes, note, activeSeconds } = answer;
      const timed = activeSeconds === undefined ? {} : { active_seconds: activeSeconds };
      return api.submit(taskId, { epoch, shapes, note, ...timed });
    }
    case "skip":
      return api.skip(taskId, { epoch, reason: answer.reason });
    case "accept":
      return api.accept(taskId, { epoch, ...noted(answer.note) });
    case "return":
      return api.giveBack(taskId, { epoch, issues: answer.issues, ...noted(answer.note) });
  }
}

const noted = (note: string): { note?: string } => (note === "" ? {} : { note });
