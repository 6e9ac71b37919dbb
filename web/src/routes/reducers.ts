import { applyEvent as applyConversations } from "@/features/conversations";
import { applyEvent as applyInboxes } from "@/features/inboxes";
import { applyEvent as applyJobs } from "@/features/jobs";
import { applyEvent as applyKnowledge } from "@/features/knowledge";
import { applyEvent as applyTeam } from "@/features/team";

/** What all features together make of an event. */
export const REDUCERS = [applyConversations, applyKnowledge, applyInboxes, applyTeam, applyJobs] as const;
