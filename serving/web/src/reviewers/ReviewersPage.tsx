/** Who is trusted and why, how far people agree, and the golden items that tell it. For operators. */
import "../app/cards.css";
import type { ViewProps } from "../app/view";
import { TokensCard } from "../tokens/TokensCard";
import { AgreementCard } from "./AgreementCard";
import { GoldenCard } from "./GoldenCard";
import { ReviewerList } from "./ReviewerList";
import { ReviewerView } from "./ReviewerView";

export default function ReviewersPage(props: ViewProps) {
  if (props.place !== null) {
    return (
      <div className="overview">
        <ReviewerView key={props.place} {...props} id={props.place} />
      </div>
    );
  }
  return (
    <div className="overview">
      <ReviewerList {...props} />
      <AgreementCard {...props} />
      <GoldenCard {...props} />
      <TokensCard {...props} />
    </div>
  );
}
