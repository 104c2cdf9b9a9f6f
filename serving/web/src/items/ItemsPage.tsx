/** Items as data: found by a query, tagged, kept as views; what happened to one. For operators. */
import { useRef, useState } from "react";
import "../app/cards.css";
import { ADD } from "../adding/adding";
import { AddImagesView } from "../adding/AddImagesView";
import { Back } from "../app/Back";
import type { ViewProps } from "../app/view";
import { useItems } from "../map/items";
import { ItemList } from "./ItemList";
import { ItemSteps } from "./ItemSteps";
import { ItemView } from "./ItemView";
import { LabelErrorsView } from "./LabelErrorsView";
import { LabelStudioView } from "./LabelStudioView";
import "./items.css";
import { LABEL_ERRORS } from "./labelErrors";
import { LABEL_STUDIO } from "./labelStudio";
import type { LayerName } from "./layers";
import { type Asked, EVERYTHING } from "./queries";
import { type Walk, placeInWords } from "./walk";

export default function ItemsPage(props: ViewProps) {
  const { api, project, notify, place, onPlace } = props;
  // Kept while one item is looked at.
  const [asked, setAsked] = useState(EVERYTHING);
  const [pages, setPages] = useState(1);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [walk, setWalk] = useState<Walk | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<LayerName>>(new Set());
  const opened = useRef<string | null>(null);
  const images = useItems(api, project.id);
  const ask = (next: Asked) => {
    setAsked(next);
    setPages(1);
    setChosen(new Set());
  };
  const open = (digest: string, from: Walk | null) => {
    setWalk(from);
    onPlace(digest);
  };
  const isItem = place !== null && place !== ADD && place !== LABEL_STUDIO && place !== LABEL_ERRORS;
  if (isItem) opened.current = place;
  return (
    <div className="overview">
      {place === null ? (
        <ItemList
          {...props}
          images={images}
          asked={asked}
          pages={pages}
          chosen={chosen}
          opened={opened.current}
          onAsk={ask}
          onMore={() => setPages(pages + 1)}
          onChoose={setChosen}
          onOpen={open}
        />
      ) : place === ADD ? (
        <AddImagesView {...props} onList={(query) => (ask({ ...EVERYTHING, query }), onPlace(null))} />
      ) : place === LABEL_STUDIO ? (
        <LabelStudioView {...props} query={asked.query} />
      ) : place === LABEL_ERRORS ? (
        <LabelErrorsView {...props} onPlace={(to) => (setWalk(null), onPlace(to))} images={images} />
      ) : (
        <>
          <div className="row above-item">
            <Back to="All items" testid="back-to-items" onBack={() => onPlace(null)} />
            {walk !== null && placeInWords(walk, place) !== null && (
              <ItemSteps
                api={api}
                project={project.id}
                walk={walk}
                digest={place}
                notify={notify}
                onStep={onPlace}
                onLonger={(longer) => {
                  setPages(pages + 1);
                  setWalk(longer);
                }}
              />
            )}
          </div>
          <ItemView
            key={place}
            api={api}
            project={project.id}
            notify={notify}
            digest={place}
            hidden={hidden}
            onHide={setHidden}
          />
        </>
      )}
    </div>
  );
}
