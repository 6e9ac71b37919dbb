import createClient from "openapi-fetch";
import { refresh } from "@/platform/session/refresh";
import { session } from "@/platform/session/session";
import { receivePosition, sendPosition } from "./position";
import { Problem } from "./problem";
import type { paths } from "./schema";

/** The API, typed by the OpenAPI document. Wrap every call in `unwrap`. */
export const api = createClient<paths>({ baseUrl: "", fetch: authorized });

/** Give the body of an answer, or throw a `Problem`. */
export async function unwrap<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw new Problem(response.status, error, response.headers.get("retry-after"));
  return data as T;
}

/** Send with the access token; when it has run out, get a new one and send once more. */
export async function authorized(request: Request): Promise<Response> {
  const token = session.get()?.access_token;
  if (!token) return send(request);
  const again = request.clone();
  const response = await send(withToken(request, token));
  if (response.status !== 401) return response;
  const fresh = await refreshOrSignOut(token);
  return fresh ? send(withToken(again, fresh)) : response;
}

async function refreshOrSignOut(refused: string): Promise<string | null> {
  const known = session.get()?.access_token;
  if (known && known !== refused) return known;
  try {
    return (await refresh()).access_token;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
}

async function send(request: Request): Promise<Response> {
  sendPosition(request.headers);
  try {
    const response = await fetch(request);
    receivePosition(response.headers);
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, null);
  }
}

function withToken(request: Request, token: string): Request {
  request.headers.set("authorization", `Bearer ${token}`);
  return request;
}

