"""Conversations between an organization and its customers: inboxes, contacts, messages and who answers.

Owns: inboxes, contacts, conversations, messages, counts, agents (a copy of auth's members), job parts.
Publishes: InboxCreated, InboxChanged, ConversationStarted, MessageAppended, ConversationTakenOver,
ConversationAssigned, ConversationHandedOver, ConversationResolved, ConversationReopened,
ConversationSnoozed, ConversationRead, ConversationsDeleted, ConversationsJobAdvanced, AnswerRequested.
Consumes: AnswerProposed, MemberJoined, MemberChanged, ConversationsJobAdvanced.
"""
