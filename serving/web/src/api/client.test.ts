import { describe, expect, test } from "vitest";
import { taskNamed } from "../testing/queueService";
import { Api, isPassing } from "./client";
import { NetworkError, ProblemError } from "./problem";

const ORIGIN = "http://127.0.0.1:8000";

function answering(response: Response | Error) {
  const requests: { url: string; init: RequestInit | undefined }[] = [];
  let signedOut = 0;
  const fetcher = (url: string, init?: RequestInit): Promise<Response> => {
    requests.push({ url, init });
    return response instanceof Error ? Promise.reject(response) : Promise.resolve(response);
  };
  const api = new Api("secret", () => (signedOut += 1), fetcher, ORIGIN);
  return { api, requests, signedOut: () => signedOut };
}

const problem = (status: number, code: string, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify({ type: `/problems/${code}`, title: "T", status, detail: "D", hint: "H", ids: {} }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });

describe("requests", () => {
  test("the token goes as a header, and names in paths are escaped", async () => {
    const { api, requests } = answering(Response.json({ tasks: [], open: 0 }));
    await api.lease("a/b", 2);
    expect(requests[0]?.url).toBe(`${ORIGIN}/v1/projects/a%2Fb/tasks/lease`);
    expect(requests[0]?.init).toMatchObject({
      method: "POST",
      body: '{"count":2}',
      headers: { Authorization: "Bearer secret" },
    });
  });

  test("the token is never sent to another origin", async () => {
    const { api, requests } = answering(new Response(""));
    await expect(api.image({ ...taskNamed("t1"), image_url: "https://evil.example/x.png" })).rejects.toThrow(
      "evil.example",
    );
    expect(requests).toEqual([]);
  });

  test("the service's clock is read from its answers", async () => {
    const ahead = new Date(Date.now() + 3_600_000).toUTCString();
    const { api } = answering(Response.json({}, { headers: { date: ahead } }));
    await api.me();
    expect(Math.abs(api.clockOffset - 3_600_000)).toBeLessThan(5_000);
  });
});

describe("what goes wrong", () => {
  test("a problem carries its code and words", async () => {
    const { api } = answering(problem(409, "stale-lease"));
    const error = await api.heartbeat("t1", 1).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({ code: "stale-lease", status: 409, problem: { hint: "H" } });
    expect(isPassing(error)).toBe(false);
  });

  test("an unknown token signs out", async () => {
    const { api, signedOut } = answering(problem(401, "unauthenticated"));
    await expect(api.me()).rejects.toThrow();
    expect(signedOut()).toBe(1);
  });

  test("an overloaded service says when to come back", async () => {
    const { api } = answering(problem(503, "unavailable", { "retry-after": "7" }));
    const error = await api.me().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ retryAfter: 7 });
    expect(isPassing(error)).toBe(true);
  });

  test("a proxy's error page becomes a problem too", async () => {
    const { api } = answering(new Response("<html>Bad gateway</html>", { status: 502 }));
    const error = await api.me().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ status: 502 });
    expect(isPassing(error)).toBe(true);
  });

  test("no answer, or one that breaks off, is a network error", async () => {
    await expect(answering(new TypeError("failed")).api.me()).rejects.toBeInstanceOf(NetworkError);
    await expect(answering(new Response('{"id":')).api.me()).rejects.toBeInstanceOf(NetworkError);
  });
});
