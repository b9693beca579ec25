//! The logger as an actor.

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Message, MessageResult, ResponseActFuture,
    ResponseFuture, fut::WrapFuture,
};

use super::{LogConfig, LogError, LogHandle, LogLevel, handle::current_arbiter};
use crate::util::impls::impl_handlers;

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

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl_handlers! { LoggerActor {
    SetLevel: |this, SetLevel(level), _| { this.log.set_level(level) }
    EnableAll: |this, _, _| { this.log.enable_all() }
    DisableAll: |this, _, _| { this.log.disable_all() }
    GetLevel: |this, _, _| -> MessageResult<GetLevel> { MessageResult(this.log.level()) }
    Reopen: |this, _, _| { this.log.reopen() }
    Flush: |this, _, _| -> ResponseFuture<()> {
        let log = this.log.clone();
        Box::pin(async move { log.flush().await })
    }
    Shutdown: |this, _, _| -> ResponseActFuture<Self, ()> {
        let log = this.log.clone();
        let ended = async move { log.shutdown().await }.into_actor(this);
        // Stops by a message to itself, so that the answer leaves first.
        Box::pin(ended.map(|(), _, ctx| ctx.notify(Stop)))
    }
    Stop: |_this, _, ctx| { ctx.stop() }
} }
