"""ai: the assistant. It decides what to do with a customer's message and finds the words.

Owns on each shard: assistants (the settings of each organization's), turns (the fence of each conversation).
Publishes: AnswerProposed.
Consumes: AnswerRequested, and what ends an answer: ConversationTakenOver, ConversationAssigned,
ConversationResolved, ConversationsDeleted.
Asks: Knowledge.
"""
