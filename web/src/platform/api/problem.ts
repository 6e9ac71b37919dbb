/** An error as the API tells it (application/problem+json), or as the network makes it (status 0). */
export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  readonly requestId: string | null;
  /** What is wrong with which field of the request. */
  readonly fields: Record<string, string>;
  readonly retryAfterSeconds: number | null;

  constructor(status: number, body: unknown, retryAfter: string | null = null) {
    const found = isRecord(body) ? body : {};
    const title = text(found["title"]) ?? TITLES[status] ?? "Something went wrong";
    super(text(found["detail"]) ?? title);
    this.name = "Problem";
    this.status = status;
    this.title = title;
    this.requestId = text(found["request_id"]);
    this.fields = fieldErrors(found["errors"]);
    const seconds = Number(retryAfter ?? found["retry_after_seconds"]);
    this.retryAfterSeconds = seconds > 0 ? seconds : null;
  }

  /** Whether the same request may succeed a little later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

/** Say in words what went wrong, whatever was thrown. */
export function explain(error: unknown): string {
  return error instanceof Error ? error.message : "Something went wrong.";
}

const TITLES: Record<number, string> = {
  0: "Dana can't be reached. Check your connection; we keep trying.",
  413: "That is too large.",
  429: "Too many requests. Please wait a moment.",
  502: "Dana is restarting. We keep trying.",
  503: "Dana is not available right now. We keep trying.",
  504: "Dana took too long to answer.",
};

function fieldErrors(errors: unknown): Record<string, string> {
  if (!Array.isArray(errors)) return {};
  const pairs = errors.filter(isRecord).map((error) => [text(error["key"]) ?? "", text(error["message"]) ?? ""]);
  return Object.fromEntries(pairs.filter(([field]) => field));
}

function text(value: unknown): string | null {
  return typeof value === "string" && value ? value : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
