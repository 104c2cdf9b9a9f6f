import type { LinkType } from "../api/types";
import type { Targets } from "./Canvas";
import { type Editor, type Edit, selectedOf, shapeOf } from "./editor";
import { CHOOSING, type Hand, linking, turned } from "./hand";
import { targetsOf } from "./links";
import type { Notice } from "./session";
import type { Shape } from "./shapes";

interface Needs {
  readonly hand: Hand;
  readonly setHand: (hand: Hand) => void;
  readonly editor: Editor;
  readonly visible: readonly Shape[];
  readonly types: readonly LinkType[];
  readonly edit: (edit: Edit) => void;
  readonly notify: (notice: Notice) => void;
}

/** Making a link: where it may lead, and what starts, turns and ends it. */
export function useLinking({ hand, setHand, editor, visible, types, edit, notify }: Needs) {
  const source = hand.tool === "link" ? shapeOf(editor, hand.source) : null;
  const type = hand.tool === "link" ? types.find(({ name }) => name === hand.type) : undefined;
  const among = source && type ? targetsOf(type, source, visible) : [];
  const targets: Targets | null = source && hand.tool === "link" ? { source, among, candidate: hand.candidate } : null;

  const start = (named: string | null = null): void => {
    const selected = selectedOf(editor);
    if (!selected) return;
    const next = linking(hand, types, selected, visible, named);
    if (next) return setHand(next);
    const detail = `No link can lead from this ${selected.label} now.`;
    notify({ tone: "info", title: "Nothing to link", detail, hint: "" });
  };

  /** Anything but a target ends it without a link. */
  const to = (id: string | null): void => {
    setHand(CHOOSING);
    if (hand.tool !== "link" || id === null || !among.some((shape) => shape.id === id)) return;
    edit({ type: "link", id: hand.source, link: { type: hand.type, to: id } });
  };

  const turn = (by: 1 | -1): void => {
    if (hand.tool === "link") setHand(turned(hand, among, by));
  };

  return { targets, start, to, turn };
}
