import { type ReactNode, createContext, useCallback, useContext, useEffect, useMemo, useState } from "react";
import type { Api } from "../api/client";
import { type Block, type Inline, blocksOf } from "./markup";

type Pictures = (digest: string) => Promise<Blob>;

interface Props {
  readonly text: string;
  readonly api: Pick<Api, "guidelinePicture">;
  readonly project: string;
}

const Brought = createContext<Pictures | null>(null);

/** Guidelines, which somebody else wrote, as React elements; see markup.ts for what is understood. */
export function Markdown({ text, api, project }: Props) {
  const blocks = useMemo(() => blocksOf(text), [text]);
  const pictures = useCallback((digest: string) => api.guidelinePicture(project, digest), [api, project]);
  return (
    <Brought.Provider value={pictures}>
      <div className="markdown">{blocks.map(block)}</div>
    </Brought.Provider>
  );
}

/** What it shows is asked for with the token, so that it has no address of its own; its words until it is there. */
function Picture({ digest, words }: { readonly digest: string; readonly words: string }) {
  const pictures = useContext(Brought);
  const [shown, setShown] = useState<string | null>(null);
  useEffect(() => {
    let url: string | null = null;
    let gone = false;
    const show = (picture: Blob) => {
      if (gone) return;
      url = URL.createObjectURL(picture);
      setShown(url);
    };
    pictures?.(digest).then(show, () => undefined);
    return () => {
      gone = true;
      if (url !== null) URL.revokeObjectURL(url);
    };
  }, [digest, pictures]);
  return shown === null ? <em>{words || "a picture"}</em> : <img src={shown} alt={words} />;
}

function block(one: Block, key: number): ReactNode {
  switch (one.type) {
    case "heading":
      return one.level <= 2 ? <h3 key={key}>{inlines(one.children)}</h3> : <h4 key={key}>{inlines(one.children)}</h4>;
    case "paragraph":
      return <p key={key}>{inlines(one.children)}</p>;
    case "list": {
      const items = one.items.map((item, index) => <li key={index}>{item.map(tight)}</li>);
      return one.ordered ? <ol key={key}>{items}</ol> : <ul key={key}>{items}</ul>;
    }
    case "quote":
      return <blockquote key={key}>{one.children.map(block)}</blockquote>;
    case "code":
      return <pre key={key}>{one.text}</pre>;
    case "rule":
      return <hr key={key} />;
    case "table":
      return (
        <table key={key}>
          <thead>
            <tr>
              {one.head.map((cell, index) => (
                <th key={index}>{inlines(cell)}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {one.rows.map((row, index) => (
              <tr key={index}>
                {row.map((cell, column) => (
                  <td key={column}>{inlines(cell)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      );
  }
}

/** What an item begins with needs no margins. */
const tight = (one: Block, key: number): ReactNode =>
  one.type === "paragraph" && key === 0 ? <span key={key}>{inlines(one.children)}</span> : block(one, key);

const inlines = (all: readonly Inline[]): ReactNode[] =>
  all.map((one, key) => {
    switch (one.type) {
      case "text":
        return one.text;
      case "code":
        return <code key={key}>{one.text}</code>;
      case "strong":
        return <strong key={key}>{inlines(one.children)}</strong>;
      case "em":
        return <em key={key}>{inlines(one.children)}</em>;
      case "picture":
        return <Picture key={key} digest={one.digest} words={one.words} />;
      case "link":
        return (
          <a key={key} href={one.href} target="_blank" rel="noopener noreferrer nofollow">
            {inlines(one.children)}
          </a>
        );
    }
  });
