//! Users and tokens.

use std::time::Duration;

use crate::{
    local_server::{
        data::Owner,
        error::LocalServerError,
        faults::{DevicePolicy, DuplicatePolicy},
        handle::server::LocalServer,
    },
    model::{account::UserId, error::Kick},
};

impl LocalServer {
    /// Creates a user.
    ///
    /// # Errors
    /// [`LocalServerError::Credential`] for a malformed user id or an empty password,
    /// [`LocalServerError::UserExists`], [`LocalServerError::Full`].
    pub fn create_user(&self, user: &str, password: &str) -> Result<(), LocalServerError> {
        let user: UserId = user.parse()?;
        self.shared.change(|state| state.create_user(&user, password, None).map(|_| ()))
    }

    /// Deletes a user with its tokens and messages, and kicks its devices (207).
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`].
    pub fn delete_user(&self, user: &str) -> Result<(), LocalServerError> {
        let name = user.to_lowercase();
        self.shared.change(|state| {
            let deleted = state.delete_user(&name);
            deleted.map(|_| ()).ok_or(LocalServerError::NoSuchUser(name))
        })
    }

    /// Changes a user's password, revokes its tokens and kicks its devices (216).
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`], [`LocalServerError::Credential`] for an empty password.
    pub fn change_password(&self, user: &str, password: &str) -> Result<(), LocalServerError> {
        crate::model::account::Password::new(password)?;
        let name = user.to_lowercase();
        self.shared.change(|state| {
            let changed = state.change_password(&name, password);
            if changed { Ok(()) } else { Err(LocalServerError::NoSuchUser(name)) }
        })
    }

    /// Issues a token of a user with this life; `None` never ends. It also serves as an Agora token for the
    /// exchange of connection spec §3.3.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`].
    pub fn issue_token(&self, user: &str, life: Option<Duration>) -> Result<String, LocalServerError> {
        let name = user.to_lowercase();
        self.shared.change(|state| {
            state.users.find(&name)?;
            Ok(state.tokens.issue(Owner::User(name), life).0)
        })
    }

    /// Makes a text of the caller's choice a token of a user, for a client with a token of its own.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`], [`LocalServerError::Credential`] for what cannot be a token.
    pub fn adopt_token(&self, user: &str, token: &str, life: Option<Duration>) -> Result<(), LocalServerError> {
        crate::model::account::Token::new(token)?;
        let name = user.to_lowercase();
        self.shared.change(|state| {
            state.users.find(&name)?;
            state.tokens.adopt(token.to_owned(), Owner::User(name), life);
            Ok(())
        })
    }

    /// Revokes a token; returns whether it was known. Sessions that used it stay.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.shared.change(|state| state.tokens.revoke(token))
    }

    /// Ends every token of a user now, so that a login with one is refused as expired; returns how many there were. Sessions
    /// that used them stay, and new tokens can be had.
    pub fn expire_tokens(&self, user: &str) -> usize {
        self.shared.change(|state| state.tokens.expire_all(&user.to_lowercase()))
    }

    /// Sets whether a user's password is wrong whatever it is: no token is given for it. Tokens and sessions stay. Default:
    /// no.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`].
    pub fn reject_password(&self, user: &str, reject: bool) -> Result<(), LocalServerError> {
        self.shared.change(|state| {
            state.users.find(user)?.password_rejected = reject;
            Ok(())
        })
    }

    /// Issues an app token, for authorised registration.
    #[must_use]
    pub fn app_token(&self) -> String {
        self.shared.change(|state| state.tokens.issue(Owner::App, state.settings.token_life).0)
    }

    /// Sets the life of tokens issued by REST from now on; `None` never ends. Default: a day.
    pub fn set_token_life(&self, life: Option<Duration>) {
        self.shared.change(|state| state.settings.token_life = life);
    }

    /// Sets whether users may register without an app token. Default: yes.
    pub fn set_open_registration(&self, open: bool) {
        self.shared.change(|state| state.settings.open_registration = open);
    }

    /// Sets the client id and secret an app token is given for. Default: none, every request is refused.
    pub fn set_client(&self, id: &str, secret: &str) {
        self.shared.change(|state| state.settings.client = Some((id.to_owned(), secret.to_owned())));
    }

    /// Sets the number of devices a user may be online with, and the rule for one more. `None` lifts the limit. Default: 4,
    /// the oldest is kicked.
    pub fn max_devices(&self, limit: Option<usize>, policy: DevicePolicy) {
        self.shared.change(|state| state.settings.devices = limit.map(|limit| (limit, policy)));
    }

    /// Sets the rule for a login with the resource of a session that is there. Default: [`DuplicatePolicy::Replace`].
    pub fn set_duplicates(&self, policy: DuplicatePolicy) {
        self.shared.change(|state| state.settings.duplicates = policy);
    }

    /// Kicks every device of a user; returns how many there were.
    pub fn kick(&self, user: &str, kick: Kick) -> usize {
        self.shared.change(|state| state.kick(user, None, &kick))
    }

    /// Kicks one device of a user; returns whether it was online.
    pub fn kick_device(&self, user: &str, resource: &str, kick: Kick) -> bool {
        self.shared.change(|state| state.kick(user, Some(resource), &kick)) > 0
    }
}
