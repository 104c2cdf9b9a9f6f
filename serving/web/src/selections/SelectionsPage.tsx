/** Choosing images for people by strategies: what would be chosen and why, then tasks for it; what was chosen before.
 *  For operators. */
import { useState } from "react";
import "../app/cards.css";
import type { ViewProps } from "../app/view";
import { useItems } from "../map/items";
import { IndexCard } from "./IndexCard";
import { SelectCard } from "./SelectCard";
import { SelectionList } from "./SelectionList";
import { SelectionView } from "./SelectionView";
import "./selections.css";
import { FIRST } from "./wish";

export default function SelectionsPage(props: ViewProps) {
  const { api, project, place } = props;
  const [wish, setWish] = useState(FIRST); // kept while an earlier one is looked at
  const images = useItems(api, project.id);
  return (
    <div className="overview">
      {place === null ? (
        <>
          <SelectCard {...props} images={images} wish={wish} onWish={setWish} />
          <SelectionList {...props} />
          <IndexCard {...props} />
        </>
      ) : (
        <SelectionView key={place} {...props} id={place} images={images} />
      )}
    </div>
  );
}
