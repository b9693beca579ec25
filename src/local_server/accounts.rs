//! Users and tokens.

use std::time::Duration;

use super::{LocalServer, LocalServerError, faults::DevicePolicy, state::Owner};
use crate::model::{account::UserId, error::Kick};

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

    /// Deletes a user: its devices are kicked (207), its tokens and messages are gone.
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

    /// Changes a user's password: its devices are kicked (216) and its tokens are revoked.
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

    /// Issues a token of a user that lives so long; `None` never ends. It also serves as an Agora token for the
    /// exchange of connection spec §3.3.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`].
    pub fn issue_token(&self, user: &str, life: Option<Duration>) -> Result<String, LocalServerError> {
        let name = user.to_lowercase();
        self.shared.change(|state| {
            state.user_mut(&name)?;
            Ok(state.issue(Owner::User(name), life).0)
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
            state.user_mut(&name)?;
            state.adopt(token.to_owned(), Owner::User(name), life);
            Ok(())
        })
    }

    /// Makes a token unknown; answers whether it was known. Sessions that used it stay.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.shared.change(|state| state.revoke(token))
    }

    /// Issues an app token, for authorised registration.
    #[must_use]
    pub fn app_token(&self) -> String {
        self.shared.change(|state| state.issue(Owner::App, state.token_life).0)
    }

    /// How long tokens issued by REST live from now on; `None` for ever. Default: a day.
    pub fn set_token_life(&self, life: Option<Duration>) {
        self.shared.change(|state| state.token_life = life);
    }

    /// Whether users may register without an app token. Default: yes.
    pub fn set_open_registration(&self, open: bool) {
        self.shared.change(|state| state.open_registration = open);
    }

    /// The client id and secret an app token is given for. Default: none, every request is refused.
    pub fn set_client(&self, id: &str, secret: &str) {
        self.shared.change(|state| state.client = Some((id.to_owned(), secret.to_owned())));
    }

    /// On how many devices a user may be online, and what happens to one too many. Default: 4, the oldest is kicked.
    /// `None` lifts the limit.
    pub fn max_devices(&self, limit: Option<usize>, policy: DevicePolicy) {
        self.shared.change(|state| state.devices = limit.map(|limit| (limit, policy)));
    }

    /// Kicks every device of a user; answers how many there were.
    pub fn kick(&self, user: &str, kick: Kick) -> usize {
        self.shared.change(|state| state.kick(user, None, &kick))
    }

    /// Kicks one device of a user; answers whether it was there.
    pub fn kick_device(&self, user: &str, resource: &str, kick: Kick) -> bool {
        self.shared.change(|state| state.kick(user, Some(resource), &kick)) > 0
    }
}
