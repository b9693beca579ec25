//! Starting and stopping a server, and its addresses.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};

use crate::{
    config::{Config, ConfigBuilder, Endpoints},
    local_server::{
        error::LocalServerError,
        faults::{DuplicatePolicy, RefuseProvisions, RestFault},
        net::Door,
        serve::{
            front::{self, Command},
            http,
            shared::SharedState,
        },
        settings::Settings,
        state::State,
    },
    model::{account::AppKey, auth::agora_token::ChatTokenBuilder},
    util::impls::setters,
};

/// A running local server. Clones are handles of the same server; when the last one is dropped it stops.
#[derive(Clone)]
pub struct LocalServer {
    pub(crate) shared: Arc<SharedState>,
    commands: mpsc::Sender<Command>,
    /// Closed when the server's thread has ended.
    running: watch::Receiver<()>,
    config: ConfigBuilder,
    app_key: AppKey,
}

/// Settings of a local server to be started, from [`LocalServer::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    app_key: String,
    port: u16,
    settings: Settings,
    refusal: Option<(i32, Option<String>)>,
    rest_faults: Vec<RestFault>,
}

impl Builder {
    setters! {
        /// Sets the application key. Default: `local#test`.
        app_key(app_key: impl Into<String>) |this| this.app_key = app_key.into();

        /// Sets the port on `127.0.0.1`. Default: 0, the system picks a free one.
        port(port: u16) |this| this.port = port;

        /// Sets the life of new tokens; `None` never ends. Default: a day.
        token_life(life: Option<Duration>) |this| this.settings.token_life = life;

        /// Also takes tokens that are signed with an app's certificate, as an application's own server or
        /// [`ChatTokenBuilder`] makes them, each of its user until its end. Default: none.
        app_certificate(app: ChatTokenBuilder) |this| this.settings.app = Some(app);

        /// Refuses every PROVISION from the start; see [`LocalServer::refuse_provisions`].
        refuse_provisions(status: i32, reason: Option<&str>) |this|
            this.refusal = Some((status, reason.map(str::to_owned)));

        /// Injects a fault into REST and discovery calls from the start; see [`LocalServer::fail_rest`].
        /// [`start`](Self::start) fails if the fault is refused.
        fail_rest(fault: RestFault) |this| this.rest_faults.push(fault);

        /// Limits the undelivered messages of one device, and of devices to come, at least 1; the oldest are dropped.
        /// Default: 10 000.
        queue_limit(messages: usize) |this| this.settings.queues.stored = messages.max(1);

        /// Limits the messages in a page of a queue, at least 1. Default: 10.
        page_size(messages: usize) |this| this.settings.queues.page = messages.max(1);

        /// Sets the rule for a login of a user with the resource of a session that is there. Default:
        /// [`DuplicatePolicy::Replace`].
        duplicates(policy: DuplicatePolicy) |this| this.settings.duplicates = policy;

        /// Sets whether bodies pass that name another sender or conversation than they have; see
        /// [`LocalServer::set_forged_bodies`]. Default: no.
        forged_bodies(pass: bool) |this| this.settings.forged_bodies = pass;

        /// Limits the bytes of uploads in flight, each counted whole from its head to its answer. One that exceeds the
        /// limit waits for at most [`request_timeout`](Builder::request_timeout), and is then refused with 503 and
        /// `Retry-After`; one that is larger than the limit is refused with 413. Default: 64 MiB.
        upload_limit(bytes: usize) |this| this.settings.upload_bytes = bytes;

        /// Limits the time for the head of a request, and for a pause in its body; past it the answer is 408 and the
        /// link ends. Between two requests a link may be idle for a quarter longer, and a later head must be complete
        /// after both. Default: 60 s, from 1 ms to a day.
        request_timeout(limit: Duration) |this|
            this.settings.request_timeout = limit.clamp(Duration::from_millis(1), Duration::from_secs(24 * 60 * 60));

        /// Limits the open TCP links; one more is closed at once. Default: 20 000.
        link_limit(links: usize) |this| this.settings.links = links;
    }

    /// Starts the server in a thread of its own.
    ///
    /// # Errors
    /// [`LocalServerError::AppKey`] for a malformed app key, [`LocalServerError::Io`] when the port is taken, and the errors
    /// of [`LocalServer::fail_rest`].
    pub async fn start(self) -> Result<LocalServer, LocalServerError> {
        let failed = |what| move |error| LocalServerError::Io { what, error: Arc::new(error) };
        let app_key: AppKey = self.app_key.parse()?;
        let listener =
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).map_err(failed("take its port"))?;
        listener.set_nonblocking(true).map_err(failed("take its port"))?;
        let address = listener.local_addr().map_err(failed("take its port"))?;
        let config = Config::builder(app_key.as_str())
            .addresses(format!("http://{address}"), format!("ws://{address}/websocket"));

        let mut state = State::new(app_key.clone(), address, self.settings);
        for fault in self.rest_faults {
            state.faults.add_rest(fault)?;
        }
        state.faults.provisions = self.refusal.map(|(status, reason)| RefuseProvisions::always(status, reason));
        let shared = Arc::new(SharedState::new(address, state));
        let (commands, received) = mpsc::channel(8);
        let (alive, running) = watch::channel(());
        let (ready, started) = oneshot::channel();
        let serving = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("local-server".to_owned())
            .spawn(move || {
                run(listener, serving, received, ready);
                drop(alive);
            })
            .map_err(failed("start its thread"))?;
        match started.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed("start its runtime")(error)),
            Err(_) => return Err(LocalServerError::Stopped),
        }
        Ok(LocalServer { shared, commands, running, config, app_key })
    }
}

/// The server's thread.
fn run(
    listener: std::net::TcpListener,
    shared: Arc<SharedState>,
    received: mpsc::Receiver<Command>,
    ready: oneshot::Sender<io::Result<()>>,
) {
    let runtime = match actix_rt::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    runtime.block_on(async move {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let Some(service) = http::service(Arc::clone(&shared)).await else {
            let _ = ready.send(Err(io::Error::other("the HTTP service could not be built")));
            return;
        };
        if ready.send(Ok(())).is_ok() {
            front::serve(listener, service, shared, received).await;
        }
    });
}

impl LocalServer {
    /// Starts a server with every default: app key `local#test`, a port the system picks, tokens of a day.
    ///
    /// # Errors
    /// [`LocalServerError::Io`] when the system gives no port or thread.
    pub async fn start() -> Result<Self, LocalServerError> {
        Self::builder().start().await
    }

    /// Begins a server with settings of its own.
    pub fn builder() -> Builder {
        Builder {
            app_key: "local#test".to_owned(),
            port: 0,
            settings: Settings::default(),
            refusal: None,
            rest_faults: Vec::new(),
        }
    }

    /// Stops the server: when this returns, the port is closed, every link cut and the thread ended. Later calls on any
    /// handle find nobody online; remembered frames, calls and messages can still be read.
    pub async fn stop(&self) {
        // A full queue or a closed one: it is stopping already.
        let _ = self.commands.send(Command::Stop).await;
        // Nothing is ever sent: this resolves when the thread drops its end.
        while self.running.clone().changed().await.is_ok() {}
        self.shared.change(State::forget_sessions);
    }

    /// Refuses new connections; open links stay. The port stays reserved.
    ///
    /// # Errors
    /// [`LocalServerError::Io`] when the port was lost to another program, [`LocalServerError::Stopped`].
    pub async fn stop_listening(&self) -> Result<(), LocalServerError> {
        self.door(Door::Refused).await
    }

    /// Accepts connections again, on the same port.
    ///
    /// # Errors
    /// [`LocalServerError::Io`] when the port was lost to another program, [`LocalServerError::Stopped`].
    pub async fn listen_again(&self) -> Result<(), LocalServerError> {
        self.door(Door::Open).await
    }

    /// Sets the treatment of new connections; open links stay as they are. Default: [`Door::Open`].
    ///
    /// # Errors
    /// [`LocalServerError::Io`] when the port was lost to another program, or does not become a [`Door::Blackhole`];
    /// [`LocalServerError::Stopped`].
    pub async fn door(&self, door: Door) -> Result<(), LocalServerError> {
        self.set_door(door, None).await
    }

    /// Sets the treatment of new connections for a time, after which they are served again.
    ///
    /// # Errors
    /// As [`door`](Self::door).
    pub async fn door_for(&self, door: Door, time: Duration) -> Result<(), LocalServerError> {
        self.set_door(door, Some(time)).await
    }

    async fn set_door(&self, door: Door, time: Option<Duration>) -> Result<(), LocalServerError> {
        let what = match door {
            Door::Refused => "stop listening",
            Door::Open => "listen again",
            _ => "change its door",
        };
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Door(door, time, answer)).await.map_err(|_| LocalServerError::Stopped)?;
        let done = answered.await.map_err(|_| LocalServerError::Stopped)?;
        done.map_err(|error| LocalServerError::Io { what, error: Arc::new(error) })
    }

    /// Begins a client configuration for this server's addresses, with every other default.
    pub fn config(&self) -> ConfigBuilder {
        self.config.clone()
    }

    /// Begins a client configuration that finds this server by discovery.
    pub fn discovery_config(&self) -> ConfigBuilder {
        self.config().endpoints(Endpoints::Discovery(vec![self.discovery_url()]))
    }

    /// Returns the base of REST calls, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns the WebSocket's address, `ws://127.0.0.1:PORT/websocket`.
    #[must_use]
    pub fn socket_url(&self) -> String {
        format!("ws://{}/websocket", self.address())
    }

    /// Returns the bootstrap host for discovery, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn discovery_url(&self) -> String {
        self.rest_url()
    }

    /// Returns the application key.
    #[must_use]
    pub fn app_key(&self) -> &str {
        self.app_key.as_str()
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }
}

impl fmt::Debug for LocalServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalServer")
            .field("address", &self.address())
            .field("app_key", &self.app_key)
            .field("stats", &self.stats())
            .finish()
    }
}
