export { applyEvent } from "./events";
export { JobsPage } from "./jobs-page";
