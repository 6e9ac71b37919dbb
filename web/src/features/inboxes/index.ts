export { useCreateInbox } from "./actions";
export { applyEvent } from "./events";
export { InboxForm, NEW_INBOX } from "./inbox-form";
export { InboxesPage } from "./inboxes-page";
export { inboxesQuery } from "./queries";
export { DemoLink, Snippet } from "./snippet";
