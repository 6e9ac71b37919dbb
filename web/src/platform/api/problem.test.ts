import { expect, it } from "vitest";
import { Problem } from "./problem";

it("says what the API says, field by field", () => {
  const problem = new Problem(422, {
    title: "Invalid",
    detail: "A password needs at least 8 characters.",
    request_id: "r1",
    errors: [{ key: "password", message: "A password needs at least 8 characters." }],
  });
  expect(problem.message).toBe("A password needs at least 8 characters.");
  expect(problem.fields).toEqual({ password: "A password needs at least 8 characters." });
  expect(problem.requestId).toBe("r1");
  expect(problem.isPassing).toBe(false);
});

it("finds words of its own for what isn't the API's answer", () => {
  for (const [status, words] of [[0, /can't be reached/u], [503, /not available/u], [418, /went wrong/u]] as const) {
    expect(new Problem(status, "<html>").message).toMatch(words);
  }
});

it("knows what may pass, and when to ask again", () => {
  expect([0, 429, 502, 503].every((status) => new Problem(status, null).isPassing)).toBe(true);
  expect([401, 404, 409, 500].some((status) => new Problem(status, null).isPassing)).toBe(false);
  expect(new Problem(429, null, "7").retryAfterSeconds).toBe(7);
});
