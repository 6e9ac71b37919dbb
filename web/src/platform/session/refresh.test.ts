import { afterEach, expect, it, vi } from "vitest";
import { Problem } from "@/platform/api/problem";
import type { Session } from "@/platform/api/types";
import { forget, refresh } from "./refresh";
import { session } from "./session";

const answer: Session = {
  access_token: "fresh",
  expires_in: 600,
  organization_id: "o",
  organization_name: "Northwind",
  user: { user_id: "u", name: "Maya", email: "maya@northwind.example", role: "owner", is_active: true },
};

function serverSays(body: object, status = 200) {
  const fetched = vi.fn(() => Promise.resolve(Response.json(body, { status })));
  vi.stubGlobal("fetch", fetched);
  return fetched;
}

afterEach(() => {
  forget();
  vi.unstubAllGlobals();
});

it("asks once, however many ask for it at the same time", async () => {
  const fetched = serverSays(answer);
  await Promise.all([refresh(), refresh(), refresh()]);
  expect(fetched).toHaveBeenCalledTimes(1);
  expect(session.get()?.access_token).toBe("fresh");
});

it("uses what has just been fetched instead of rotating the cookie again", async () => {
  const fetched = serverSays(answer);
  await refresh();
  await refresh();
  expect(fetched).toHaveBeenCalledTimes(1);
});

it("tells a signed-out person from a server that is away", async () => {
  serverSays({ title: "Unauthenticated", detail: "Sign in." }, 401);
  await expect(refresh()).rejects.toMatchObject({ status: 401, message: "Sign in." });
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("network")));
  const failure = await refresh().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Problem);
  expect((failure as Problem).isPassing).toBe(true);
});
