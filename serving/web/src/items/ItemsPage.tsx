/** Items as data: found by a query, tagged, kept as views; what happened to one. For operators. */
import { useState } from "react";
import "../app/cards.css";
import { ADD } from "../adding/adding";
import { AddImagesView } from "../adding/AddImagesView";
import type { ViewProps } from "../app/view";
import { useItems } from "../map/items";
import { ItemList } from "./ItemList";
import { ItemView } from "./ItemView";
import { LabelErrorsView } from "./LabelErrorsView";
import { LabelStudioView } from "./LabelStudioView";
import "./items.css";
import { LABEL_ERRORS } from "./labelErrors";
import { LABEL_STUDIO } from "./labelStudio";
import { EVERYTHING } from "./queries";

export default function ItemsPage(props: ViewProps) {
  const { api, project, notify, place, onPlace } = props;
  // Kept while one item is looked at.
  const [asked, setAsked] = useState(EVERYTHING);
  const images = useItems(api, project.id);
  return (
    <div className="overview">
      {place === null ? (
        <ItemList {...props} images={images} asked={asked} onAsk={setAsked} />
      ) : place === ADD ? (
        <AddImagesView {...props} onList={(query) => (setAsked({ ...EVERYTHING, query }), onPlace(null))} />
      ) : place === LABEL_STUDIO ? (
        <LabelStudioView {...props} query={asked.query} />
      ) : place === LABEL_ERRORS ? (
        <LabelErrorsView {...props} images={images} />
      ) : (
        <ItemView
          key={place}
          api={api}
          project={project.id}
          notify={notify}
          digest={place}
          onBack={() => onPlace(null)}
        />
      )}
    </div>
  );
}
