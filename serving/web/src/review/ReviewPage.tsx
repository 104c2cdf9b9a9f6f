/** The reviewer's screen: a task, what a training says of the last one, or why there is none. */
import type { Api } from "../api/client";
import type { Project } from "../api/types";
import { EmptyQueue } from "./EmptyQueue";
import { FeedbackView } from "./FeedbackView";
import { Workspace } from "./Workspace";
import { paletteOf } from "./colors";
import type { Images } from "./images";
import type { Notice, ReviewSession, ReviewState } from "./session";

interface Props {
  readonly api: Api;
  readonly project: Project;
  readonly session: ReviewSession;
  readonly state: ReviewState;
  readonly images: Images;
  readonly notify: (notice: Notice) => void;
  /** Whether who reviews may set the project up. */
  readonly operates: boolean;
}

export function ReviewPage({ api, project, session, state, images, notify, operates }: Props) {
  const { current, feedback } = state;
  if (feedback) {
    const palette = paletteOf(project.recipe.labels);
    const next = () => session.dismissFeedback();
    return <FeedbackView feedback={feedback} palette={palette} images={images} onNext={next} />;
  }
  if (!current) {
    return <EmptyQueue project={project} state={state} operates={operates} onCheck={() => session.hurry()} />;
  }
  return <Workspace api={api} session={session} current={current} next={state.next} images={images} notify={notify} />;
}
