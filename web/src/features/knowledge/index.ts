export { upload } from "./uploads";
export { DropArea } from "./drop-area";
export { applyEvent } from "./events";
export { KnowledgePage } from "./knowledge-page";
export { documentsQuery } from "./queries";
export { UploadList } from "./upload-list";
export { SampleButton } from "./sample-button";
