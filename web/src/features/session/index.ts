export { AcceptInvitation } from "./accept-invitation";
export { ProfileMenu } from "./profile-menu";
export { SignIn } from "./sign-in";
export { SignUp } from "./sign-up";
export { leave } from "./sign-out";
