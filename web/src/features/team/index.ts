export { applyEvent } from "./events";
export { membersQuery } from "./queries";
export { TeamPage } from "./team-page";
