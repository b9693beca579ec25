//! The logger as an actor.

use actix::fut::WrapFuture;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, ResponseFuture};

use super::handle::current_arbiter;
use super::{LogConfig, LogError, LogHandle, LogLevel};

/// Logger that is controlled by messages; each does the same as the method of [`LogHandle`] of its name.
///
/// Records never pass through its mailbox. A change of level does, and is seen by all threads once it is handled. The
/// actor ends with [`Shutdown`], or when the last handle made with it and the last copy of its address are gone.
///
/// ```
/// use agora_chat::logger::{GetLevel, LogConfig, LogLevel, LoggerActor, SetLevel};
///
/// # actix::System::new().block_on(async {
/// let log = LoggerActor::start_with(LogConfig::new())?;
/// if let Some(addr) = log.addr() {
///     addr.do_send(SetLevel(LogLevel::Warn));
///     assert_eq!(addr.send(GetLevel).await.unwrap(), LogLevel::Warn);
/// }
/// log.shutdown().await;
/// # Ok::<(), agora_chat::logger::LogError>(()) }).unwrap();
/// ```
pub struct LoggerActor {
    /// Without the actor's address.
    pub(super) log: LogHandle,
}

impl LoggerActor {
    /// Starts a logger and its actor on the current arbiter.
    ///
    /// # Errors
    /// [`LogError::NoSystem`] when this thread has no arbiter, and those of [`LogHandle::start`].
    pub fn start_with(config: LogConfig) -> Result<LogHandle, LogError> {
        // Checked first, so that no file is created in vain.
        let arbiter = current_arbiter()?;
        Ok(LogHandle::start(config)?.with_actor_on(&arbiter))
    }
}

impl Actor for LoggerActor {
    type Context = Context<Self>;
}

/// Sets the level.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SetLevel(pub LogLevel);

/// Sets level TRACE, so that everything is written.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct EnableAll;

/// Sets level SILENT, so that nothing is written.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct DisableAll;

/// Returns the level.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "LogLevel")]
pub struct GetLevel;

/// Closes the log file and opens its path anew.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Reopen;

/// Completes when every record logged before is written.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

/// Ends the log and then the actor; completes when every record logged before is written.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;

impl Handler<SetLevel> for LoggerActor {
    type Result = ();

    fn handle(&mut self, SetLevel(level): SetLevel, _: &mut Context<Self>) {
        self.log.set_level(level);
    }
}

impl Handler<EnableAll> for LoggerActor {
    type Result = ();

    fn handle(&mut self, EnableAll: EnableAll, _: &mut Context<Self>) {
        self.log.set_level(LogLevel::Trace);
    }
}

impl Handler<DisableAll> for LoggerActor {
    type Result = ();

    fn handle(&mut self, DisableAll: DisableAll, _: &mut Context<Self>) {
        self.log.set_level(LogLevel::Silent);
    }
}

impl Handler<GetLevel> for LoggerActor {
    type Result = actix::MessageResult<GetLevel>;

    fn handle(&mut self, GetLevel: GetLevel, _: &mut Context<Self>) -> Self::Result {
        actix::MessageResult(self.log.level())
    }
}

impl Handler<Reopen> for LoggerActor {
    type Result = ();

    fn handle(&mut self, Reopen: Reopen, _: &mut Context<Self>) {
        self.log.reopen();
    }
}

impl Handler<Flush> for LoggerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Flush: Flush, _: &mut Context<Self>) -> Self::Result {
        let log = self.log.clone();
        Box::pin(async move { log.flush().await })
    }
}

impl Handler<Shutdown> for LoggerActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, Shutdown: Shutdown, _: &mut Context<Self>) -> Self::Result {
        let log = self.log.clone();
        let ended = async move { log.shutdown().await }.into_actor(self);
        // Stops by a message to itself, so that the answer leaves first.
        Box::pin(ended.map(|(), _, ctx| ctx.notify(Stop)))
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for LoggerActor {
    type Result = ();

    fn handle(&mut self, Stop: Stop, ctx: &mut Context<Self>) {
        actix::ActorContext::stop(ctx);
    }
}
