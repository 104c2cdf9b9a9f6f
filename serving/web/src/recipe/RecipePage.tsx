/** What people annotate: the recipe, its versions, and the next one as a document. For operators. */
import "../app/cards.css";
import { Back } from "../app/Back";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import type { ViewProps } from "../app/view";
import { DocumentCard } from "./DocumentCard";
import { RecipeCard } from "./RecipeCard";
import { VersionsCard } from "./VersionsCard";
import { versions } from "./calls";
import "./recipe.css";

const REFRESH_MS = 60_000;

/** place: an older version. */
export default function RecipePage({ api, me, project, notify, place, onPlace }: ViewProps) {
  const asked = useAsked(() => versions(api, project.id), project.id, REFRESH_MS);
  return (
    <div className="overview">
      {place !== null && <Back to="The newest version" testid="newest-recipe" onBack={() => onPlace(null)} />}
      <Fetched asked={asked} what="the recipe">
        {({ versions: all }) => {
          const shown = place === null ? all[0] : all.find(({ recipe }) => String(recipe.version) === place);
          if (!shown) return <p className="callout warn">There is no version {place}.</p>;
          return (
            <>
              <RecipeCard api={api} project={project.id} recipe={shown.recipe} />
              {place === null && (
                <>
                  <DocumentCard
                    api={api}
                    me={me}
                    project={project.id}
                    recipe={shown.recipe}
                    notify={notify}
                    onSent={asked.refresh}
                  />
                  <VersionsCard versions={all} onOpen={(version) => onPlace(String(version))} />
                </>
              )}
            </>
          );
        }}
      </Fetched>
    </div>
  );
}
