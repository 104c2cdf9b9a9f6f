import { PIN_COLORS, PIN_SIGNS } from "./Drawing";
import type { Matter } from "./matters";

const NAMES: Readonly<Record<Matter["kind"], string>> = {
  error: "Error",
  warning: "Warning",
  returned: "Returned",
  disputed: "Disputed",
};

/** The mark that the shape has on the image. */
export function PinSign({ kind }: { readonly kind: Matter["kind"] }) {
  return (
    <span
      className="pin"
      style={{ background: PIN_COLORS[kind] }}
      role="img"
      aria-label={NAMES[kind]}
      title={NAMES[kind]}
    >
      {PIN_SIGNS[kind]}
    </span>
  );
}
