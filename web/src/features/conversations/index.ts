export { applyEvent } from "./events";
export { ConversationList } from "./list";
export { resumeOutbox } from "./outbox";
export { ConversationPane } from "./pane";
export { countsQuery, fetchCursor, type Filter } from "./queries";
export { ShortcutList } from "./shortcut-list";
