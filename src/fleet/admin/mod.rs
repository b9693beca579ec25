//! A fleet's admin interface over HTTP: JSON for programs, metrics, and a page for people.
//!
//! [`Admin`] holds the settings. [`Admin::routes`] mounts it in an actix-web application, [`Admin::serve`] gives it a server
//! of its own.
//!
//! | Call | Does |
//! |---|---|
//! | `GET /` | the page for people |
//! | `GET /livez`, `/readyz`, `/startupz` | 200 or 503, for probes; without a token |
//! | `GET /fleet` | counts by state and cause, breaker, queue |
//! | `GET /accounts?state=&cause=&tag=&node=&search=&after=&limit=` | accounts by user id, 100 a page unless `limit` says otherwise (1 to 10 000) |
//! | `GET /accounts/{user}` | one account with its health and transitions |
//! | `POST /accounts/{user}/pause` | with or without a body `{"why":"…","for_ms":60000}` |
//! | `POST /accounts/{user}/resume`, `/restart` | |
//! | `POST /accounts/{user}/send` | body `{"to":"alice","text":"hi"}`, answer `{"server_id":"…"}` |
//! | `PUT /accounts/{user}/credentials` | body `{"password":"…"}` or `{"token":"…"}` |
//! | `DELETE /accounts/{user}` | logs the account out and forgets it |
//! | `POST /accounts/pause`, `/resume`, `/restart`, `/remove` | all accounts that `state`, `cause`, `tag`, `node` and `search` take; `dry_run` only tells which |
//! | `POST /fleet/pause`, `/fleet/resume` | pauses everybody; resumes those who are paused |
//! | `POST /fleet/drain?deadline=25` | logs everybody out and ends the fleet; seconds, 25 unless given |
//! | `GET`, `PUT /log-level` | body `{"level":"DEBUG"}`, where [`Admin::log`] was given |
//! | `GET /events` | server-sent events: `account`, `breaker`, `foreign_fleet`, `draining`, `drained`, `missed`, and `fleet` once a second while something changes |
//! | `GET /metrics`, `/metrics?per_account=1&tag=` | [metrics](crate::guide::metrics) |
//!
//! `/nodes`, `/nodes/{node}/drain` and `/accounts/{user}/move` answer 501: this is a fleet in one process.
//!
//! A call may be repeated: it finds done what was done. Errors are `{"error":{"code":"not_online","message":"…"}}`.
//!
//! # Who may
//!
//! Without a token the interface serves loopback addresses only: whoever can log in to the machine may do everything. With
//! one, each call needs `Authorization: Bearer …`, but for the page's own files and the three probes.
//!
//! Either way no foreign web page may act or read. The header `Host` must be a loopback name or address with the port of
//! the server, or one that [`Admin::host`] names, so that a name that leads to this machine is of no use to its owner; with
//! a token it may be any address, for an address cannot be led elsewhere. A header `Origin` must be that of the same
//! host.

mod answer;
mod calls;
mod events;
mod guard;
mod serve;

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use actix_web::{Scope, dev::HttpServiceFactory, middleware::from_fn, web};
use ring::hmac;
use tokio::sync::watch;

use crate::{fleet::handle::Fleet, logger::LogHandle};

pub use serve::Served;

/// Returns the admin interface of a fleet, as [`Admin::routes`] with the defaults of [`Admin`].
pub fn routes(fleet: &Fleet) -> impl HttpServiceFactory + 'static {
    Admin::new(fleet).routes()
}

/// The admin interface of a fleet. It keeps a handle of the fleet, so a fleet that shall end is
/// [drained](Fleet::drain).
///
/// In an application's own server, on its own paths:
///
/// ```no_run
/// use actix_web::{App, HttpServer, web};
/// use agora_chat::fleet::{Fleet, admin::Admin};
///
/// # async fn run(fleet: Fleet) -> std::io::Result<()> {
/// let admin = Admin::new(&fleet);
/// HttpServer::new(move || App::new().service(web::scope("/admin").service(admin.routes())))
///     .bind(("127.0.0.1", 8080))?
///     .run()
///     .await
/// # }
/// ```
#[derive(Clone)]
#[must_use = "an admin interface does nothing until it is served"]
pub struct Admin(Arc<Settings>);

#[derive(Clone)]
struct Settings {
    fleet: Fleet,
    token: Option<AdminToken>,
    hosts: Vec<String>,
    log: Option<LogHandle>,
    ready: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    clients: Arc<AtomicUsize>,
    started: Arc<AtomicBool>,
    closing: watch::Sender<bool>,
}

/// The secret that calls must name. It is not kept: only a keyed digest of it is.
#[derive(Clone)]
pub struct AdminToken {
    key: hmac::Key,
    digest: hmac::Tag,
}

/// An admin interface was not set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The token is too short or has characters that no header may have.
    #[error(
        "the admin token must have {} to {} visible ASCII characters; make one with `openssl rand -hex 32`",
        AdminToken::MIN_LEN,
        AdminToken::MAX_LEN
    )]
    Token,
    /// Other machines could reach the address, and there is no token.
    #[error("the admin interface listens on {address} only with a token; give one, or listen on 127.0.0.1")]
    TokenMissing {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("the admin interface cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        error: std::io::Error,
    },
}

impl AdminToken {
    /// The shortest token, in characters.
    pub const MIN_LEN: usize = 16;

    /// The longest token, in characters.
    pub const MAX_LEN: usize = 4096;

    /// Takes a token. White space around it, such as the end of a file's line, does not belong to it.
    ///
    /// # Errors
    /// [`AdminError::Token`].
    pub fn new(token: &str) -> Result<Self, AdminError> {
        let token = token.trim();
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&token.len()) || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(AdminError::Token);
        }
        let mut key = [0; 32];
        fastrand::Rng::new().fill(&mut key);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let digest = hmac::sign(&key, token.as_bytes());
        Ok(AdminToken { key, digest })
    }

    /// Returns whether it is this one; how long that takes says nothing of how much of it is right.
    fn is(&self, token: &[u8]) -> bool {
        hmac::verify(&self.key, token, self.digest.as_ref()).is_ok()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

impl Admin {
    /// The most clients of `/events` at a time.
    pub const MAX_EVENT_CLIENTS: usize = 32;

    /// The largest body of a call, in bytes.
    pub const MAX_BODY: usize = 64 * 1024;

    /// Makes the admin interface of a fleet, without a token.
    pub fn new(fleet: &Fleet) -> Self {
        Admin(Arc::new(Settings {
            fleet: fleet.clone(),
            token: None,
            hosts: Vec::new(),
            log: None,
            ready: None,
            clients: Arc::default(),
            started: Arc::default(),
            closing: watch::Sender::new(false),
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Has every call name this token. Default: none, and only loopback addresses are served.
    pub fn token(self, token: AdminToken) -> Self {
        self.with(|settings| settings.token = Some(token))
    }

    /// Also takes calls to this host, such as `bots.example.com` or `bots.example.com:8443`: the name that people and
    /// programs call it by, where a proxy is before it or it listens on more than loopback. May be called again.
    pub fn host(self, host: impl Into<String>) -> Self {
        let host = guard::without_default_port(&host.into()).to_ascii_lowercase();
        self.with(|settings| settings.hosts.push(host))
    }

    /// Lets `/log-level` read and set the level of this log. Default: none, and it answers 501.
    pub fn log(self, log: LogHandle) -> Self {
        self.with(|settings| settings.log = Some(log))
    }

    /// Has `/readyz` answer 200 only where this also holds, such as that all accounts have been added.
    pub fn ready_when(self, ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.ready = Some(Arc::new(ready)))
    }

    /// Returns its routes, for an application's own server. They answer every path below the place where they are mounted,
    /// with a typed 404 where there is nothing: mount them in a scope, or after the application's own routes.
    ///
    /// Without a [token](Self::token) they serve loopback addresses only, whatever the server listens on.
    pub fn routes(&self) -> impl HttpServiceFactory + use<> {
        let admin = self.clone();
        let scope: Scope = calls::scope(self);
        scope.wrap(from_fn(move |request, next| {
            let admin = admin.clone();
            async move { guard::guard(&admin, request, next).await }
        }))
    }

    /// Ends the streams of `/events`, and takes no new ones: a server that waits for its clients would wait for them.
    pub fn end_events(&self) {
        self.0.closing.send_replace(true);
    }

    fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Admin");
        shown.field("fleet", &self.0.fleet).field("token", &self.0.token).field("hosts", &self.0.hosts);
        shown.finish_non_exhaustive()
    }
}

/// Reads the settings from a request.
type Shared = web::Data<Admin>;
