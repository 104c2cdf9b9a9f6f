/** A recipe's parts in words. */
import type { Attribute, LinkType, Rule } from "../api/types";
import { percent } from "../app/format";

/** "at least 1", "1 to 3", "exactly 1"; empty where anything goes. */
export function boundsInWords(min: number | null | undefined, max: number | null | undefined, unit = ""): string {
  const [low, high] = [min ?? 0, max ?? null];
  if (high === null) return low === 0 ? "" : `at least ${low}${unit}`;
  if (low === high) return `exactly ${high}${unit}`;
  return low === 0 ? `at most ${high}${unit}` : `${low} to ${high}${unit}`;
}

/** "hand: left, right (select, required)" */
export function attributeInWords({ name, type, options = [], required, min, max, default: preset }: Attribute): string {
  const about = [
    type,
    required ? "required" : "",
    type === "number" ? numbersInWords(min, max) : "",
    preset === undefined || preset === null ? "" : `at first ${String(preset)}`,
  ].filter((part) => part !== "");
  return `${name}${options.length > 0 ? `: ${options.join(", ")}` : ""} (${about.join(", ")})`;
}

/** Unlike counts, numbers may be below nothing. */
function numbersInWords(min: number | null | undefined, max: number | null | undefined): string {
  return [
    min === undefined || min === null ? "" : `from ${min}`,
    max === undefined || max === null ? "" : `up to ${max}`,
  ]
    .filter((part) => part !== "")
    .join(" ");
}

/** "person → interaction; from each exactly 1; to each at most 1" */
export function linkInWords({ from, to, required, min_out, max_out, min_in, max_in }: LinkType): string {
  const out = boundsInWords(Math.max(min_out ?? 0, required ? 1 : 0), max_out);
  const into = boundsInWords(min_in, max_in);
  return [`${from.join(", ")} → ${to.join(", ")}`, out && `from each ${out}`, into && `to each ${into}`]
    .filter((part) => part !== "")
    .join("; ");
}

export function ruleInWords(rule: Rule): string {
  switch (rule.kind) {
    case "required_attribute":
      return `each ${rule.label} has a value of ${rule.attribute}`;
    case "count":
      return `${boundsInWords(rule.min, rule.max) || "any number"} of ${rule.label} in an image`;
    case "links": {
      const number = boundsInWords(rule.min, rule.max) || "any number";
      return `${number} of ${rule.link} ${rule.side === "in" ? "to" : "from"} each ${rule.label}`;
    }
    case "size": {
      const unit = rule.unit === "share" ? " of the image" : " px";
      const sizes = [
        ["width", boundsInWords(rule.min_width, rule.max_width, unit)],
        ["height", boundsInWords(rule.min_height, rule.max_height, unit)],
        ["area", boundsInWords(rule.min_area, rule.max_area, unit)],
      ].filter(([, bounds]) => bounds !== "");
      return `each ${rule.labels.join(", ")}: ${sizes.map((pair) => pair.join(" ")).join(", ")}`;
    }
    case "overlap":
      return `no ${rule.label} overlaps another ${rule.other ?? rule.label} by more than ${rule.max_iou}`;
    case "inside":
      return `each ${rule.label} lies with ${percent(rule.share ?? 1)} in one of ${rule.within.join(", ")}`;
    case "forbidden":
      return `no image has both ${rule.labels.join(" and ")}`;
    case "function":
      return `what the function ${rule.function} says`;
  }
}
