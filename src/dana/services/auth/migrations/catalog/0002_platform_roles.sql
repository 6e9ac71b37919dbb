-- Who runs the platform: beside any organization, granted on the command line only.

alter table auth.users
  add column platform_role text check (platform_role in ('support', 'admin', 'super_admin'));
create index users_of_the_platform on auth.users (email) where platform_role is not null;
