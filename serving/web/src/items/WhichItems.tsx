/** Says that something is about all items that meet a query. query: null where it is not. */
export function WhichItems({ query }: { readonly query: string | null }) {
  if (query === null) return null;
  return (
    <p>
      {query === "" ? "All items of the project" : "All items that meet the query"}, not only those shown
      {query !== "" && (
        <>
          : <code>{query}</code>
        </>
      )}
      .
    </p>
  );
}
