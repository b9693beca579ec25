//! Settings of one account.

use std::{fmt, sync::Arc};

use crate::{
    model::{
        Observer,
        account::{Device, UserId},
        admission::Admission,
        auth::Credentials,
        error::ConfigError,
        totals::Totals,
    },
    net::Gate,
    store::{CursorStore, Cursors},
};

/// The user who logs in, and the settings of this account alone; given to [`Connection::open`](crate::Connection::open).
///
/// ```
/// use agora_chat::{Account, Credentials, account::Device};
/// let account = Account::new(Credentials::password("alice", "s3cret")?).device(Device::new("bot-7"));
/// assert_eq!(account.user().as_str(), "alice");
/// # Ok::<(), agora_chat::errors::CredentialError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Account {
    pub(crate) credentials: Credentials,
    pub(crate) device: Option<Arc<Device>>,
    pub(crate) login_ext: Option<Arc<str>>,
    pub(crate) cursors: Option<Cursors>,
    pub(crate) admission: Option<Hook<dyn Admission>>,
    pub(crate) observer: Option<Hook<dyn Observer>>,
    pub(crate) totals: Option<Arc<Totals>>,
    pub(crate) gate: Option<Gate>,
    pub(crate) epoch: Option<u64>,
}

/// Code that an account brings along.
pub(crate) struct Hook<T: ?Sized>(pub(crate) Arc<T>);

impl<T: ?Sized> Clone for Hook<T> {
    fn clone(&self) -> Self {
        Hook(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> fmt::Debug for Hook<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl Account {
    /// The longest login text, in characters (connection spec §6.1).
    pub const MAX_LOGIN_EXT: usize = 1024;

    /// Begins an account with every default.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Account {
            credentials,
            device: None,
            login_ext: None,
            cursors: None,
            admission: None,
            observer: None,
            totals: None,
            gate: None,
            epoch: None,
        }
    }

    /// Sets the identity of this device. Default: a random resource, the same for every login of one connection and
    /// different for each connection; with [`ConfigBuilder::state_dir`](crate::ConfigBuilder::state_dir) it survives
    /// restarts.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.device = Some(Arc::new(device));
        self
    }

    /// Sets a text shown to a device that this login kicks ([`Kick::LoggedInElsewhere`](crate::errors::Kick)), at most
    /// [`MAX_LOGIN_EXT`](Self::MAX_LOGIN_EXT) characters. Default: none.
    #[must_use]
    pub fn login_ext(mut self, ext: impl Into<Arc<str>>) -> Self {
        self.login_ext = Some(ext.into());
        self
    }

    /// Persists the cursors of queues over links and restarts. Default: they are not persisted, so a page that was not
    /// acknowledged when its link was lost comes again.
    ///
    /// With a store the first pull of a queue carries the cursor of the last page that was handled. A page's cursor is
    /// saved after its messages were handled and before it is acknowledged. A save that fails, or takes longer than 30 s,
    /// is logged and loses no message: the page is acknowledged all the same, and may come again after a restart. No queue
    /// is pulled before the cursors are loaded; if that fails or takes longer than 30 s, they count as lost.
    ///
    /// Cursors are the server's: resuming from one acknowledges everything before it. If a service is set up anew, the
    /// store has to be emptied. One store may serve many accounts.
    #[must_use]
    pub fn cursor_store(mut self, store: Arc<dyn CursorStore>) -> Self {
        self.cursors = Some(Cursors(store));
        self
    }

    /// Has each attempt to log in and to come back wait for a permit, such as that of a queue which paces the logins of
    /// many accounts. Default: none, so attempts wait for nobody.
    #[must_use]
    pub fn admission(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admission = Some(Hook(admission));
        self
    }

    /// Lets the session dial and write only while a gate is open. Default: none.
    ///
    /// Where the gate is shut the socket is reset, nothing more is written, and the session ends with
    /// [`DisconnectReason::LeaseLost`](crate::DisconnectReason::LeaseLost).
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Sets a number that grows each time the account changes hands, such as the revision of a lease: the session's
    /// events [carry it](crate::Event::epoch), so that what consumes them can drop those of an earlier owner. Default:
    /// none.
    #[must_use]
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Has the connection tell what becomes of it, without a subscription. Default: nobody.
    #[must_use]
    pub(crate) fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(Hook(observer));
        self
    }

    /// Has the session counted together with others. Default: it is not.
    #[must_use]
    pub(crate) fn totals(mut self, totals: Arc<Totals>) -> Self {
        self.totals = Some(totals);
        self
    }

    /// Returns the application's text for a device that this login kicks.
    pub(crate) fn login_text(&self) -> Option<&str> {
        self.login_ext.as_deref()
    }

    pub(crate) fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Returns whether both log in the same way, with the same cursors.
    pub(crate) fn same_as(&self, other: &Account) -> bool {
        let cursors = match (&self.cursors, &other.cursors) {
            (None, None) => true,
            (Some(Cursors(ours)), Some(Cursors(theirs))) => Arc::ptr_eq(ours, theirs),
            _ => false,
        };
        cursors
            && self.credentials.same_as(&other.credentials)
            && self.device == other.device
            && self.login_ext == other.login_ext
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
