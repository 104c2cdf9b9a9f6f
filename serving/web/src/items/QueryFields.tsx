/** What a query of items may ask for. */
export function QueryFields() {
  return (
    <details>
      <summary className="muted small">What can be asked</summary>
      <p className="muted small">
        Fields: digest, source, group, media_type, width, height, created_at, captured_at, meta.KEY, split, model, risk,
        decision, stage, detection, shape, label, truth, tag, work, corrections, failed, golden, lot. Comparisons: = !=
        &lt; &lt;= &gt; &gt;= ~ (contains) ^= (begins with), in (a, b), has FIELD, missing FIELD; joined by and, or, not
        and parentheses. Times: 2026-01-31, 7d ago. What has blanks is quoted.
      </p>
    </details>
  );
}
