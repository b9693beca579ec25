//! What belongs to one account.

use std::sync::Arc;

use crate::{
    model::{
        account::{Device, UserId},
        auth::Credentials,
        error::ConfigError,
    },
    store::{CursorStore, Cursors},
};

/// Who logs in, and what belongs to that account alone; [`Connection::open`](crate::Connection::open) takes it.
///
/// ```
/// use agora_chat::{Account, Credentials, Device};
/// let account = Account::new(Credentials::password("alice", "s3cret")?).device(Device::new("bot-7"));
/// assert_eq!(account.user().as_str(), "alice");
/// # Ok::<(), agora_chat::CredentialError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Account {
    pub(crate) credentials: Credentials,
    pub(crate) device: Option<Device>,
    pub(crate) login_ext: Option<String>,
    pub(crate) cursors: Option<Cursors>,
}

impl Account {
    /// The longest login text, in characters (connection spec §6.1).
    pub const MAX_LOGIN_EXT: usize = 1024;

    /// Begins an account with every default.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Account { credentials, device: None, login_ext: None, cursors: None }
    }

    /// Sets who this device is. Default: a random resource, which every login of one connection shares and no two
    /// connections do; with [`ConfigBuilder::state_dir`](crate::ConfigBuilder::state_dir) the account keeps it over
    /// restarts.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.device = Some(device);
        self
    }

    /// Sets a text shown to a device that this login kicks ([`Kick::LoggedInElsewhere`](crate::Kick)), at most
    /// [`MAX_LOGIN_EXT`](Self::MAX_LOGIN_EXT) characters. Default: none.
    #[must_use]
    pub fn login_ext(mut self, ext: impl Into<String>) -> Self {
        self.login_ext = Some(ext.into());
        self
    }

    /// Keeps the cursors of queues over links and restarts. Default: they are not kept, so a page that was not
    /// acknowledged when its link was lost comes again.
    ///
    /// With a store the first pull of a queue carries the cursor of the last page that was handled. A page's cursor is
    /// saved after its messages were handled and before it is acknowledged. A save that fails, or takes longer than 30 s,
    /// is logged and costs no message: the page is acknowledged all the same, and may come again after a restart. No queue
    /// is pulled before the cursors are loaded; where that fails or takes longer than 30 s, they count as lost.
    ///
    /// Cursors are the server's: to go on with one is to say that everything before it was handled. Where a service begins
    /// anew, the store has to be emptied. One store may serve many accounts.
    #[must_use]
    pub fn cursor_store(mut self, store: Arc<dyn CursorStore>) -> Self {
        self.cursors = Some(Cursors(store));
        self
    }

    /// Returns the user who logs in.
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.credentials.user()
    }

    /// Checks the device and the login text.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(device) = &self.device {
            device.check()?;
        }
        match &self.login_ext {
            Some(ext) if ext.chars().count() > Self::MAX_LOGIN_EXT => Err(ConfigError::Device {
                what: "login extension",
                value: ext.chars().take(16).collect(),
                problem: "must not be longer than 1024 characters",
            }),
            _ => Ok(()),
        }
    }
}

impl From<Credentials> for Account {
    fn from(credentials: Credentials) -> Self {
        Account::new(credentials)
    }
}
