/** Does what an operator asked for, tells what came of it, and renews the figures; whether it was done. isWait: errors
 *  that are no failure but something to wait for. */
export type Act = (
  action: Promise<unknown>,
  title: string,
  detail: string,
  isWait?: (error: unknown) => boolean,
) => Promise<boolean>;
