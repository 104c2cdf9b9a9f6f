/** Everything beside the image but the buttons that end a task. */
import type { RefObject } from "react";
import type { Api } from "../api/client";
import type { CustomFunction } from "../api/types";
import type { Described } from "../api/problem";
import { AnswersPanel } from "./AnswersPanel";
import { AttributesPanel } from "./AttributesPanel";
import { CommentsPanel } from "./CommentsPanel";
import { Facts } from "./Facts";
import { FunctionsPanel } from "./FunctionsPanel";
import { LabelPalette } from "./LabelPalette";
import { LinksPanel } from "./LinksPanel";
import { Markdown } from "./Markdown";
import { MattersPanel } from "./MattersPanel";
import { ReturnPanel } from "./ReturnPanel";
import { ShapeList } from "./ShapeList";
import { attributesOf, missing } from "./attributes";
import type { Palette } from "./colors";
import { type Edit, chosenOf, selectedOf } from "./editor";
import type { Hand } from "./hand";
import type { Loaded } from "./images";
import type { Returning, ReturningStep } from "./returning";
import type { Current } from "./session";
import type { Shape } from "./shapes";
import type { useActing } from "./useActing";
import type { Commenting } from "./useComments";
import type { useScene } from "./useScene";

interface Props {
  readonly api: Api;
  readonly current: Current;
  readonly scene: ReturnType<typeof useScene>;
  readonly palette: Palette;
  readonly loaded: Loaded | null;
  readonly hand: Hand;
  readonly drawLabel: string;
  readonly hover: string | null;
  readonly functions: readonly CustomFunction[];
  readonly acting: ReturnType<typeof useActing>;
  readonly commenting: Commenting;
  readonly toReturn: Returning;
  readonly fields: {
    readonly filter: RefObject<HTMLInputElement | null>;
    readonly said: RefObject<HTMLDivElement | null>;
    readonly issue: RefObject<HTMLInputElement | null>;
    readonly comment: RefObject<HTMLTextAreaElement | null>;
  };
  readonly onHover: (id: string | null) => void;
  readonly onEdit: (edit: Edit) => void;
  readonly onShow: (shape: string) => void;
  readonly onPickLabel: (name: string) => void;
  readonly onLink: (type: string) => void;
  readonly onTake: (shape: Shape, answer: number) => void;
  readonly onTakeAll: (number: number) => void;
  readonly onOffer: (shape: Shape | null) => void;
  readonly onReturning: (step: ReturningStep) => void;
  readonly onNote: (note: string) => void;
  readonly onProblem: (problem: Described) => void;
  readonly onLeave: () => void;
}

export function SidePanels(props: Props) {
  const { current, scene, palette, hand, drawLabel, onEdit, onShow, onLeave } = props;
  const { editor, recipe, task } = current;
  const selected = selectedOf(editor);
  const relabels = selected !== null && hand.tool !== "draw";
  return (
    <div className="panels">
      {scene.stage === "qa" && (
        <ReturnPanel
          issues={props.toReturn}
          shapes={scene.shapes}
          chosen={chosenOf(editor)}
          note={task.answers[0]?.note ?? ""}
          field={props.fields.issue}
          onStep={props.onReturning}
          onSelect={onShow}
          onLeave={onLeave}
        />
      )}
      {scene.answers.length > 0 && (
        <AnswersPanel
          answers={scene.answers}
          shown={scene.shownAnswers}
          palette={palette}
          onToggle={scene.toggleAnswer}
          onTakeAll={props.onTakeAll}
          onTake={props.onTake}
          onHover={props.onOffer}
        />
      )}
      <section className="panel">
        <h2>
          {relabels ? "Relabel as" : "Label to draw"}
          <span className="muted">{relabels ? "selected shape" : drawLabel}</span>
        </h2>
        <LabelPalette
          labels={recipe.labels}
          palette={palette}
          current={drawLabel}
          selected={relabels ? selected.label : null}
          relabels={({ geometry = "box" }) => relabels && geometry === selected.type}
          onPick={props.onPickLabel}
          filter={props.fields.filter}
          onLeave={onLeave}
        />
      </section>
      <section className="panel grow">
        <h2>
          Shapes <span className="muted">{scene.visible.length}</span>
        </h2>
        <ShapeList
          editor={editor}
          shapes={scene.visible}
          pins={scene.pins}
          labels={recipe.labels}
          palette={palette}
          hover={props.hover}
          onHover={props.onHover}
          onEdit={onEdit}
        />
      </section>
      {selected && <Selected {...props} selected={selected} />}
      <MattersPanel matters={scene.matters} selected={editor.selected} checking={!scene.checked} onSelect={onShow} />
      <FunctionsPanel
        functions={props.functions}
        chosen={chosenOf(editor).length}
        running={props.acting.running}
        messages={props.acting.messages}
        onAct={(name) => void props.acting.act(name)}
      />
      {recipe.guidelines.trim() !== "" && (
        <details className="panel" open>
          <summary>Guidelines</summary>
          <div className="guidelines" data-testid="guidelines">
            <Markdown text={recipe.guidelines} api={props.api} project={task.project_id} />
          </div>
        </details>
      )}
      {task.reason && (
        <p className="panel reason" data-testid="reason">
          {task.reason}
        </p>
      )}
      {props.commenting.offered && (
        <CommentsPanel
          commenting={props.commenting}
          task={task.id}
          selected={selected}
          field={props.fields.comment}
          onSelect={onShow}
          onProblem={props.onProblem}
          onLeave={onLeave}
        />
      )}
      <details className="panel">
        <summary>
          <span>Image and note</span>
          {current.note !== "" && <span className="badge">note</span>}
          {task.file !== "" && (
            <span className="muted file" title={task.file} data-testid="file">
              {task.file}
            </span>
          )}
        </summary>
        <Facts task={task} loaded={props.loaded} note={current.note} onNote={props.onNote} />
      </details>
    </div>
  );
}

/** What is said of the selected shape, and what it is linked to. */
function Selected({ current, scene, hand, selected, fields, onEdit, onLink, onLeave }: Props & { selected: Shape }) {
  const { recipe } = current;
  const attributes = attributesOf(recipe.labels, selected.label);
  const types = recipe.links ?? [];
  const linkable = types.some((type) => [...type.from, ...type.to].includes(selected.label));
  if (attributes.length === 0 && !linkable) return null;
  return (
    <section className="panel" aria-label={`The selected ${selected.label}`} ref={fields.said}>
      <h2>
        {selected.label}
        <span className="muted">selected {attributes.length > 0 && <kbd>A</kbd>}</span>
      </h2>
      {attributes.length > 0 && (
        <AttributesPanel
          shape={selected}
          attributes={attributes}
          missing={missing(attributes, selected.attributes)}
          onEdit={onEdit}
          onLeave={onLeave}
        />
      )}
      {linkable && (
        <LinksPanel
          shape={selected}
          shapes={scene.visible}
          types={types}
          linking={hand.tool === "link" ? hand.type : null}
          onLink={onLink}
          onEdit={onEdit}
        />
      )}
    </section>
  );
}
