import { useEffect, useState } from "react";
import type { Api } from "../api/client";
import type { CustomFunction } from "../api/types";

/** The project's own functions; none where the service has no such thing. */
export function useFunctions(api: Api, project: string): readonly CustomFunction[] {
  const [functions, setFunctions] = useState<readonly CustomFunction[]>([]);
  useEffect(() => {
    let left = false;
    api.functions(project).then(
      (reply) => !left && setFunctions(reply.functions),
      () => undefined,
    );
    return () => {
      left = true;
    };
  }, [api, project]);
  return functions;
}
