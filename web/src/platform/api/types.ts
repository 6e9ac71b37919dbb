import type { components } from "./schema";

type Schemas = components["schemas"];

export type Session = Schemas["Session"];
export type Member = Schemas["MemberView"];
export type Role = Member["role"];
export type Invitation = Schemas["InvitationView"];
export type Inbox = Schemas["InboxView"];
export type Contact = Schemas["ContactView"];
export type Citation = Schemas["Citation"];
export type Message = Schemas["MessageView"];
export type Conversation = Schemas["ConversationView"];
export type ConversationHit = Schemas["conversations_api_search_SearchHit"];
export type Status = Conversation["status"];
export type Document = Schemas["DocumentView"];
export type Job = Schemas["LongJobView"];
export type JobProblem = Schemas["JobProblem"];
export type Choice = Schemas["Choice"];
export type Assistant = Schemas["Assistant"];
