type Json<T> = { content: { "application/json": T } };
type Query<Q> = { query?: Q; header?: never; path?: never; cookie?: never };
type Path<P, H = never, Q = never> = { query?: Q; header?: H; path: P; cookie?: never };
type None = { query?: never; header?: never; path?: never; cookie?: never };
type Op<R, Body = never, P = None, S extends number = 200> = {
  parameters: P;
  responses: Record<S, Json<R>>;
} & ([Body] extends [never] ? { requestBody?: never } : { requestBody: { content: { "application/json": Body } } });
type OpNone<P = None> = { parameters: P; requestBody?: never; responses: { 204: { content?: never } } };
type Id = { id: string };
type S = components["schemas"];
export interface components {
  schemas: {
    MemberView: { user_id: string; name: string; email: string; role: "owner" | "admin" | "agent"; is_active: boolean };
    Session: { access_token: string; expires_in: number; organization_id: string; organization_name: string; user: S["MemberView"] };
    Invitation: { id: string; email: string; role: "owner" | "admin" | "agent"; link: string | null; expires_at: string };
    InboxView: { id: string; name: string; channel: string; public_key: string; greeting: string; is_assistant_enabled: boolean; created_at: string };
    ContactView: { id: string; name: string; email: string | null; created_at: string };
    Citation: { document_id: string; title: string; passage: string; quote: string };
    MessageView: {
      id: string; conversation_id: string; seq: number; author: "customer" | "agent" | "assistant" | "system"; author_id: string | null;
      author_name: string; text: string; is_private: boolean; created_at: string; action: "reply" | "clarify" | "hand_over" | null; citations: S["Citation"][];
    };
    ConversationView: {
      id: string; inbox_id: string; contact: S["ContactView"]; status: "open" | "pending" | "snoozed" | "resolved"; assignee_id: string | null;
      assignee_name: string | null; last_seq: number; last_text: string; last_author: S["MessageView"]["author"] | null; unread_count: number; version: number;
      snoozed_until: string | null; last_activity_at: string; created_at: string;
    };
    DocumentView: {
      id: string; title: string; filename: string; media_type: string; size_bytes: number; status: "queued" | "parsing" | "indexing" | "searchable" | "failed";
      progress: number; passages: number; error: string | null; version: number; created_at: string; updated_at: string;
    };
    Assistant: {
      name: string; language: string | null; tone: string | null; threshold: number | null; hand_over_text: string;
      provider: { kind: "extractive" | "openai"; base_url: string; model: string; api_key: string };
    };
  };
}
type Page<T> = { items: T[]; next_cursor: string | null };
export interface paths {
  "/api/v1/auth/signup": { post: Op<S["Session"], { email: string; password: string; name: string; organization: string }, None, 201> };
  "/api/v1/auth/login": { post: Op<S["Session"], { email: string; password: string }> };
  "/api/v1/auth/refresh": { post: Op<S["Session"]> };
  "/api/v1/auth/logout": { post: OpNone };
  "/api/v1/auth/logout-everywhere": { post: OpNone };
  "/api/v1/auth/invitations/{token}": { get: Op<{ organization_name: string; email: string; role: string }, never, Path<{ token: string }>> };
  "/api/v1/auth/invitations/{token}/accept": { post: Op<S["Session"], { name: string; password: string }, Path<{ token: string }>> };
  "/api/v1/members": { get: Op<Page<S["MemberView"]>> };
  "/api/v1/members/{user_id}": { patch: Op<S["MemberView"], { role?: string; is_active?: boolean; name?: string }, Path<{ user_id: string }>> };
  "/api/v1/invitations": { get: Op<Page<S["Invitation"]>>; post: Op<S["Invitation"], { email: string; role: string }, None, 201> };
  "/api/v1/invitations/{invitation_id}": { delete: OpNone<Path<{ invitation_id: string }>> };
  "/api/v1/inboxes": { get: Op<Page<S["InboxView"]>>; post: Op<S["InboxView"], { name: string; channel: "web_widget"; greeting?: string; is_assistant_enabled?: boolean }, None, 201> };
  "/api/v1/inboxes/{id}": { patch: Op<S["InboxView"], { name?: string; greeting?: string; is_assistant_enabled?: boolean }, Path<Id>> };
  "/api/v1/conversations": { get: Op<Page<S["ConversationView"]> & { org_cursor: number }, never, Query<{ status?: string; inbox_id?: string; assignee_id?: string; limit?: number; cursor?: string }>> };
  "/api/v1/conversations/counts": { get: Op<{ open: number; pending: number; snoozed: number; resolved: number; unread: number }> };
  "/api/v1/conversations/{id}": { get: Op<S["ConversationView"], never, Path<Id>> };
  "/api/v1/conversations/{id}/messages": {
    get: Op<Page<S["MessageView"]> & { org_cursor: number }, never, Path<Id, never, { before?: string; after?: string; limit?: number }>>;
    post: Op<S["MessageView"], { text: string; is_private?: boolean }, Path<Id, { "Idempotency-Key"?: string }>, 201>;
  };
  "/api/v1/conversations/{id}/take-over": { post: Op<S["ConversationView"], never, Path<Id>> };
  "/api/v1/conversations/{id}/resolve": { post: Op<S["ConversationView"], never, Path<Id>> };
  "/api/v1/conversations/{id}/reopen": { post: Op<S["ConversationView"], never, Path<Id>> };
  "/api/v1/conversations/{id}/read": { post: Op<S["ConversationView"], never, Path<Id>> };
  "/api/v1/conversations/{id}/assign": { post: Op<S["ConversationView"], { assignee_id: string | null }, Path<Id>> };
  "/api/v1/conversations/{id}/snooze": { post: Op<S["ConversationView"], { until: string }, Path<Id>> };
  "/api/v1/knowledge/documents": { get: Op<Page<S["DocumentView"]>, never, Query<{ limit?: number; cursor?: string }>> };
  "/api/v1/knowledge/documents/{id}": { get: Op<S["DocumentView"], never, Path<Id>>; delete: OpNone<Path<Id>> };
  "/api/v1/knowledge/documents/{id}/passages": { get: Op<Page<{ id: string; position: number; heading: string; text: string }>, never, Path<Id, never, { limit?: number; cursor?: string }>> };
  "/api/v1/knowledge/documents/{id}/retry": { post: Op<S["DocumentView"], never, Path<Id>> };
  "/api/v1/knowledge/sample": { post: Op<{ items: S["DocumentView"][] }, never, None, 202> };
  "/api/v1/knowledge/search": {
    get: Op<{
      items: { document_id: string; title: string; passage: string; score: number; quote: string }[];
      answer: { sentence: string; confidence: number; would_answer: boolean } | null; took_ms: number; methods: string[];
    }, never, Query<{ q: string; limit?: number }>>;
  };
  "/api/v1/assistant": { get: Op<S["Assistant"]>; put: Op<S["Assistant"], S["Assistant"]> };
  "/api/v1/assistant/try": { post: Op<{ action: "reply" | "clarify" | "hand_over"; text: string; citations: S["Citation"][]; confidence: number; took_ms: number }, { question: string }> };
}
