import { describe } from "../api/problem";
import type { Notice } from "../review/session";

/** Does what an operator asked for, tells what came of it, and renews the figures; whether it was done. isWait: errors
 *  that are no failure but something to wait for. */
export type Act = (
  action: Promise<unknown>,
  title: string,
  detail: string,
  isWait?: (error: unknown) => boolean,
) => Promise<boolean>;

export const acting =
  (notify: (notice: Notice) => void, refresh: () => Promise<void>): Act =>
  async (action, title, detail, isWait = () => false) => {
    try {
      await action;
      notify({ tone: "info", title, detail, hint: "" });
      await refresh();
      return true;
    } catch (error) {
      notify({ tone: isWait(error) ? "info" : "error", ...describe(error) });
      return false;
    }
  };

/** Does what was asked for in a dialog, and closes it then. What is refused is thrown: the dialog says so, and what was
 *  typed into it stays. */
export const closing =
  (notify: (notice: Notice) => void, refresh: () => Promise<void>, close: () => void) =>
  async (action: Promise<unknown>, title: string, detail: string): Promise<void> => {
    try {
      await action;
    } catch (error) {
      void refresh(); // what changed meanwhile may be why
      throw error;
    }
    close();
    notify({ tone: "info", title, detail, hint: "" });
    await refresh();
  };
