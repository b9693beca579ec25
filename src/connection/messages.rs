//! Messages of a [`ConnectionActor`](super::ConnectionActor); [`Connection`](super::Connection) has a method for each.

use std::time::Duration;

use actix::Message;

use tokio::sync::oneshot;

use super::{Closed, Health};

use crate::{
    config::Account,
    model::{
        ConnectionState,
        account::{Nickname, Password, Token, UserId},
        error::{DisconnectReason, OpenError, RequestError, SendError},
        outgoing::{Outgoing, RoomInfo, RoomRequest, Sent},
    },
    rest::RegisteredUser,
};

/// Logs a user in; answered once the server accepted or the login failed.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), OpenError>")]
pub struct Open(pub Account);

/// Logs out, in any state; answered once nothing of the session is left.
#[derive(Debug, Message)]
#[rtype(result = "Closed")]
pub struct Close;

/// Logs out for this reason once the message handler is done with what it has in hand, or after the limit.
#[derive(Debug, Message)]
#[rtype(result = "Closed")]
pub(super) struct CloseWithin {
    pub(super) limit: Duration,
    pub(super) reason: DisconnectReason,
}

/// Ends the session at once by a reset, for this reason.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Abandon(pub DisconnectReason);

/// Sends a message; answered with the server's id for it.
#[derive(Debug, Message)]
#[rtype(result = "Result<Sent, SendError>")]
pub struct SendMessage(pub Outgoing);

/// Joins or leaves a chat room; answered with what the service says of a joined one.
#[derive(Debug, Message)]
#[rtype(result = "Result<RoomInfo, SendError>")]
pub struct ChangeRoom(pub RoomRequest);

/// Registers a user by open registration.
#[derive(Debug, Message)]
#[rtype(result = "Result<RegisteredUser, RequestError>")]
pub struct RegisterUser {
    /// The user id.
    pub user: UserId,
    /// The password.
    pub password: Password,
    /// The nickname, if any.
    pub nickname: Option<Nickname>,
}

/// Gives the session a new token; answered with its end in milliseconds since 1970.
#[derive(Debug, Message)]
#[rtype(result = "Result<u64, RequestError>")]
pub struct RenewToken(pub Token);

/// Asks where the connection stands.
#[derive(Debug, Message)]
#[rtype(result = "ConnectionState")]
pub struct State;

/// Says that the machine's network has changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct NetworkChanged;

/// Asks how the connection fares; events missed are not counted in (the registry knows them).
#[derive(Debug, Message)]
#[rtype(result = "Health")]
pub struct GetHealth;

/// A message with an answer channel that outlives the arbiter. A sender that is dropped was never handled.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Call<M, T> {
    pub(super) message: M,
    pub(super) answer: oneshot::Sender<T>,
}

/// Asks the actor to log out and end: the last handle is gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Stop;
