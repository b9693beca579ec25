//! Changes to accounts that end sessions.

use crate::{
    local_server::{data::User, state::State},
    model::error::Kick,
    util::unix_time::now_ms,
};

impl State {
    /// Deletes a user with its tokens and messages, and kicks its devices.
    pub(crate) fn delete_user(&mut self, name: &str) -> Option<User> {
        self.kick(name, None, &Kick::UserRemoved);
        self.tokens.revoke_all(name);
        self.leave_every_group(name);
        self.presences.remove(name);
        self.users.remove(name)
    }

    /// Changes a user's password, revokes its tokens and kicks its devices; `false` if there is no such user.
    pub(crate) fn change_password(&mut self, name: &str, password: &str) -> bool {
        let Some(user) = self.users.get_mut(name) else {
            return false;
        };
        user.password = password.to_owned();
        user.modified_ms = now_ms();
        self.kick(name, None, &Kick::PasswordChanged);
        self.tokens.revoke_all(name);
        true
    }
}
