/** The frame around all tabs: project picker, queue, what was done, connection, who is signed in. */
import { Suspense, useCallback, useEffect, useRef, useState } from "react";
import type { Api } from "../api/client";
import type { Me, Project } from "../api/types";
import { NewProjectDialog } from "../projects/NewProjectDialog";
import { ReviewPage } from "../review/ReviewPage";
import { Status } from "../review/Status";
import type { Notice } from "../review/session";
import { doneInWords, queueInWords } from "../review/tally";
import { type Reviewing, useReviewSession, useReviewState } from "../review/useReviewSession";
import { abilitiesOf } from "../session/abilities";
import { type Tab, fragmentOf, routeOf } from "../session/route";
import { type Section, sectionsOf } from "../session/sections";
import { Mark } from "./Mark";
import { ThemeSwitch } from "./ThemeSwitch";
import { Toast } from "./Toast";
import { useSoleTab } from "./hooks";
import { chosenOf, useProject } from "./project";
import { VIEWS } from "./views";

const NAMES: Record<Tab, string> = {
  review: "Review",
  overview: "Overview",
  map: "Map",
  recipe: "Recipe",
  policy: "Policy",
  items: "Items",
  selections: "Selections",
  clips: "Clips",
  snapshots: "Snapshots",
  quality: "Quality",
  lots: "Lots",
  reviewers: "Reviewers",
  queue: "Queue",
  work: "Work",
  functions: "Functions",
  webhooks: "Webhooks",
  comments: "Comments",
};

interface Props {
  readonly api: Api;
  readonly me: Me;
  readonly projects: readonly Project[];
  readonly onCreated: (project: Project) => void;
  readonly onSignOut: () => void;
}

export function Workbench({ api, me, projects, onCreated, onSignOut }: Props) {
  const abilities = abilitiesOf(me.role);
  const [route, setRoute] = useState(() => routeOf(window.location.hash));
  const [notice, setNotice] = useState<Notice | null>(null);
  const [creating, setCreating] = useState(false);
  const known = chosenOf(projects, route.project);
  const tab = abilities.tabs.find((candidate) => candidate === route.tab) ?? abilities.tabs[0] ?? "overview";
  const project = useProject(api, known, tab === "review" ? null : tab);
  const sections = sectionsOf(abilities.tabs);
  const section = sections.find(({ tabs }) => tabs.includes(tab));
  const last = useRef(new Map<string, Tab>());
  if (section) last.current.set(section.name, tab);

  useEffect(() => {
    const follow = () => setRoute(routeOf(window.location.hash));
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);

  // An error stays until it is dismissed; information does not push it away.
  const notify = useCallback(
    (next: Notice) => setNotice((old) => (old?.tone === "error" && next.tone === "info" ? old : next)),
    [],
  );
  const dismiss = useCallback(() => setNotice(null), []);

  const go = (to: Project, where: Tab, place: string | null = null) => {
    window.location.hash = fragmentOf(to.id, where, place);
  };

  const picker = (
    <label className="picker">
      <span className="visually-hidden">Project</span>
      <select
        data-testid="project-picker"
        value={project?.id ?? ""}
        disabled={projects.length === 0}
        onChange={(event) => {
          const chosen = projects.find((candidate) => candidate.id === event.target.value);
          if (chosen) go(chosen, tab);
          event.target.blur();
        }}
      >
        {project === null && <option value="">{projects.length === 0 ? "no project" : "choose a project"}</option>}
        {projects.map((candidate) => (
          <option key={candidate.id} value={candidate.id}>
            {candidate.id}
          </option>
        ))}
      </select>
    </label>
  );

  const tabButton = (name: string, to: Tab, current: boolean, testid: string) => (
    <button
      key={name}
      className={current ? "tab current" : "tab"}
      aria-current={current ? "page" : undefined}
      data-testid={testid}
      onMouseDown={(event) => event.preventDefault()}
      disabled={project === null}
      onClick={() => project && go(project, to)}
    >
      {name}
    </button>
  );
  const sectionButton = (one: Section) => {
    const { name, tabs } = one;
    const first = tabs[0] ?? "overview";
    return tabs.length === 1
      ? tabButton(NAMES[first], first, first === tab, `tab-${first}`)
      : tabButton(name, last.current.get(name) ?? first, one === section, `section-${name.toLowerCase()}`);
  };

  const frame = (status: React.ReactNode, body: React.ReactNode) => (
    <div className="app">
      <header className={sections.length > 1 ? "top many" : "top"}>
        <span className="brand">
          <Mark />
          <span>Askance</span>
        </span>
        {picker}
        {abilities.operate && (
          <button
            className="icon"
            title="New project"
            aria-label="New project"
            data-testid="new-project"
            onClick={() => setCreating(true)}
          >
            +
          </button>
        )}
        <nav aria-label="Views">{sections.map(sectionButton)}</nav>
        <span className="grow" />
        {status}
        <ThemeSwitch />
        <span className="who" title={`Signed in as ${me.name}, ${me.role}`} data-testid="who">
          <span className="name">
            {me.name} {me.name !== me.role && <span className="muted">{me.role}</span>}
          </span>
          <span className="initial" aria-hidden="true">
            {Array.from(me.name)[0]?.toUpperCase()}
          </span>
        </span>
        <button className="quiet" data-testid="sign-out" onClick={onSignOut}>
          Sign out
        </button>
      </header>
      {section && section.tabs.length > 1 && (
        <nav className="within" aria-label={section.name}>
          {section.tabs.map((name) => tabButton(NAMES[name], name, name === tab, `tab-${name}`))}
        </nav>
      )}
      <main className="body">{body}</main>
      <Toast notice={notice} onDismiss={dismiss} />
      {creating && (
        <NewProjectDialog
          api={api}
          me={me}
          taken={projects.map(({ id }) => id)}
          notify={notify}
          onCreated={onCreated}
          onOpen={(made) => {
            setCreating(false);
            go(made, "overview");
          }}
          onClose={() => setCreating(false)}
        />
      )}
    </div>
  );

  if (!project) {
    return frame(
      null,
      projects.length === 0 ? (
        <NoProject onCreate={abilities.operate ? () => setCreating(true) : null} />
      ) : (
        <UnknownProject asked={route.project ?? ""} projects={projects} onGo={(to) => go(to, tab)} />
      ),
    );
  }
  const other = () => {
    if (tab === "review") return null;
    const View = VIEWS[tab];
    const onPlace = (place: string | null) => go(project, tab, place);
    return (
      <Suspense fallback={<Opening />}>
        <View key={project.id} {...{ api, me, project, notify, onPlace }} place={route.place} />
      </Suspense>
    );
  };
  if (!abilities.tabs.includes("review")) return frame(null, other());
  return <Reviewer api={api} me={me} project={project} tab={tab} notify={notify} frame={frame} other={other} />;
}

interface ReviewerProps {
  readonly api: Api;
  readonly me: Me;
  readonly project: Project;
  readonly tab: Tab;
  readonly notify: (notice: Notice) => void;
  readonly frame: (status: React.ReactNode, body: React.ReactNode) => React.ReactNode;
  readonly other: () => React.ReactNode;
}

/** Work is asked for when the review tab is first shown, and kept in hand while another tab is looked at. */
function Reviewer({ api, me, project, tab, notify, frame, other }: ReviewerProps) {
  const { tenure, takeOver } = useSoleTab(`askance/${me.id}/${project.id}`);
  const [visited, setVisited] = useState(tab === "review");
  useEffect(() => {
    if (tab === "review") setVisited(true);
  }, [tab]);
  const reviewing = useReviewSession(api, me.id, visited && tenure === "ours" ? project : null, notify);
  if (tab !== "review") return frame(null, other());
  if (tenure === "elsewhere") return frame(null, <Elsewhere onTakeOver={takeOver} />);
  if (!reviewing) return frame(null, null);
  return <InSession {...{ api, me, project, reviewing, notify, frame }} />;
}

interface InSessionProps extends Pick<ReviewerProps, "api" | "me" | "project" | "notify" | "frame"> {
  readonly reviewing: Reviewing;
}

function InSession({ api, me, project, reviewing, notify, frame }: InSessionProps) {
  const state = useReviewState(reviewing.session);
  const queue = queueInWords(state.open);
  const figures = (
    <>
      <span className="figure" title={queue.meaning} data-testid="queue">
        <span className="muted">Queue {queue.about}</span>{" "}
        <strong data-testid="queue-open">{state.open ?? "–"}</strong>
      </span>
      <span className="figure" title={`In this session: ${doneInWords(state)}`} data-testid="done">
        <span className="muted">Done</span> <strong data-testid="done-count">{state.done}</strong>
      </span>
      <Status state={state} />
    </>
  );
  return frame(
    figures,
    <ReviewPage
      api={api}
      project={project}
      session={reviewing.session}
      state={state}
      images={reviewing.images}
      notify={notify}
      operates={abilitiesOf(me.role).operate}
    />,
  );
}

function NoProject({ onCreate }: { readonly onCreate: (() => void) | null }) {
  return (
    <div className="calm" data-testid="no-project">
      <h2>No project yet</h2>
      {onCreate ? (
        <>
          <p className="muted">A project has a name and the labels that people and models give.</p>
          <button className="primary" data-testid="first-project" onClick={onCreate}>
            New project
          </button>
        </>
      ) : (
        <p className="muted">
          An operator makes one here, or with <code>askance project create</code>; then reload this page.
        </p>
      )}
    </div>
  );
}

interface UnknownProjectProps {
  readonly asked: string;
  readonly projects: readonly Project[];
  readonly onGo: (project: Project) => void;
}

/** Another project in its place would be worked on by mistake. */
function UnknownProject({ asked, projects, onGo }: UnknownProjectProps) {
  return (
    <div className="calm" role="status" data-testid="unknown-project">
      <h2>No project “{asked}”</h2>
      <p className="muted">
        There is none of this name, or your token may not see it. If it was made just now, reload this page. You can
        open:
      </p>
      <div className="row wrap">
        {projects.map((one) => (
          <button key={one.id} data-testid={`open-${one.id}`} onClick={() => onGo(one)}>
            {one.id}
          </button>
        ))}
      </div>
    </div>
  );
}

function Opening() {
  return (
    <div className="calm" role="status">
      <p className="muted">Opening…</p>
    </div>
  );
}

function Elsewhere({ onTakeOver }: { onTakeOver: () => void }) {
  return (
    <div className="calm" role="status" data-testid="elsewhere">
      <h2>You are reviewing in another tab</h2>
      <p className="muted">Two tabs would work on the same images. Close the other one, or go on here.</p>
      <button className="primary" onClick={onTakeOver}>
        Review here
      </button>
    </div>
  );
}
