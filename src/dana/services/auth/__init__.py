"""auth: who may come in. Sign-up, sign-in, sessions, members, invitations.

Owns in the catalog: users, organizations, memberships, sessions, invitations, attempts.
Owns on each shard: announcements, so that no change of a member is told twice.
Publishes: OrganizationCreated, MemberJoined, MemberChanged. Consumes: nothing.
"""
