import type { Selection } from "../api/types";
import { Back } from "../app/Back";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { count, moment, short, shortId } from "../app/format";
import type { ViewProps } from "../app/view";
import type { Items } from "../map/items";
import { fragmentOf } from "../session/route";
import { PickGallery } from "./PickGallery";
import { selection } from "./calls";
import { mixInWords, narrowedInWords } from "./wish";

const REFRESH_MS = 300_000; // it never changes

interface Props extends ViewProps {
  readonly id: string;
  readonly images: Items;
}

/** One that was made, with why each image was chosen. */
export function SelectionView({ api, project, onPlace, id, images }: Props) {
  const asked = useAsked(() => selection(api, project.id, id), id, REFRESH_MS);
  return (
    <>
      <Back to="All selections" testid="back-to-selections" onBack={() => onPlace(null)} />
      <Card title={`Selection ${shortId(id)}`} tooltip={id} testid="selection">
        <Fetched asked={asked} what="the selection">
          {(one) => (
            <>
              <Facts one={one} />
              <PickGallery
                picks={one.picks}
                images={images}
                hrefOf={(digest) => fragmentOf(project.id, "items", digest)}
              />
            </>
          )}
        </Fetched>
      </Card>
    </>
  );
}

function Facts({ one }: { readonly one: Selection }) {
  const { picked, budget, pool, mix, conditions, like_items: like, seed, model_id: model, actor, created_at: at } = one;
  const facts: readonly (readonly [name: string, value: string])[] = [
    ["Queued", `${counted(picked, "image")}${picked < budget ? ` of ${count(budget)} wanted` : ""}, from ${count(pool)}`],
    ["Chosen by", mixInWords(mix)],
    ["Among", narrowedInWords(conditions) || "all"],
    ...(like.length > 0 ? ([["Like", like.map(short).slice(0, 5).join(", ") + (like.length > 5 ? ` and ${like.length - 5} more` : "")]] as const) : []),
    ["In the eyes of", model === null ? "no model: by colours" : short(model)],
    ["Seed", String(seed)],
    ["Asked", `${moment(at)} by ${actor}`],
  ];
  return (
    <dl className="facts-row" data-testid="selection-facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
