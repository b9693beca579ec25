//! Actions of a session.

use std::sync::Arc;

#[cfg(doc)]
use crate::session::Input;
use crate::{
    model::{
        Event, EventKind,
        account::{Device, UserId},
        admission::{Attempt, AttemptOutcome},
        auth::{TokenGrant, TokenRequest},
        error::{OpenError, RequestError, SendError},
        outgoing::Sent,
        server_text::ServerText,
    },
    session::{
        diagnostic::Diagnostic,
        inbox::in_flight::Page,
        tokens::fetch::{TokenFetch, TokenSource},
    },
    wire::Frame,
};

/// An action to carry out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Read the state folder's entry; answer with [`Input::Recalled`]. After a timeout the login goes on without it.
    Recall {
        /// The account.
        user: UserId,
        /// This device, unless the folder names another.
        device: Arc<Device>,
    },
    /// Ask the account's [`Admission`](crate::admission::Admission) for the permit of an attempt; answer with
    /// [`Input::Admitted`]. Only for an account that has one.
    Admit(Attempt),
    /// The attempt that [`Input::Admitted`] began is over; report it to its permit.
    AttemptOver(AttemptOutcome),
    /// Fetch `server.json`; answer with [`Input::Discovered`].
    Discover,
    /// Get a token and its end; answer with [`Input::TokenReady`]. At most one fetch each is in flight for the session
    /// and for the application. A fetch survives [`Action::Hangup`], until [`Action::DropTokenFetch`] or
    /// [`Action::Closed`].
    FetchToken {
        /// Requester of the token.
        fetch: TokenFetch,
        /// User and reason.
        request: TokenRequest,
        /// Source of the token.
        from: TokenSource,
    },
    /// Cancel a fetch; report nothing of it afterwards.
    DropTokenFetch(TokenFetch),
    /// Store the token of an accepted session. Only if [`Config`](crate::Config) has a state folder.
    TokenChanged(TokenGrant),
    /// Remove the useless token from the state folder. Only if there is a state folder.
    ForgetToken,
    /// Result of an [`Input::RenewToken`]: the token's end in milliseconds since 1970, or the error.
    Renewed {
        /// Id of the renewal.
        renewal: u64,
        /// Its result.
        outcome: Result<u64, RequestError>,
    },
    /// Connect a WebSocket; answer with [`Input::Connected`] or [`Input::Lost`].
    Connect {
        /// Address; whole for the dial, without the session's secrets when shown.
        url: ServerText,
    },
    /// Send a binary message. It holds a token in PROVISION and LOGOUT: never log its bytes.
    Transmit(Frame),
    /// Cancel what is under way: the socket, a connect, discovery, a read of the state folder, the wait for a permit.
    /// Report nothing of it afterwards.
    Hangup,
    /// Reset the socket, if there is one, and write nothing more to it. [`Action::Hangup`] follows.
    Reset,
    /// Notify the subscribers.
    Emit(EventKind),
    /// Notify the subscribers of an event that the message handler gets as well.
    Publish(Event),
    /// Deliver a page to the message handler, then save its cursor if it has one; answer with [`Input::Handled`] or
    /// [`Input::Postponed`]. At most 1 page of a queue is in flight, and [`Limits::pulls`](crate::Limits) in all.
    /// Handling goes on after [`Action::Hangup`]; nothing more of it may begin after [`Action::Closed`].
    Deliver(Page),
    /// Read the account's cursors; answer with [`Input::Cursors`]. No queue is pulled before.
    LoadCursors {
        /// Id to answer with.
        load: u64,
        /// Owner of the cursors.
        user: UserId,
    },
    /// The login requested by [`Input::Open`] is over.
    Opened(Result<(), OpenError>),
    /// An [`Input::Open`] came at the wrong time, and the login under way goes on; or its account is malformed.
    Rejected(OpenError),
    /// The session is over; the callers waiting for that can be answered.
    Closed,
    /// A send or a chat room request is settled.
    Sent {
        /// Its client id.
        client_id: u64,
        /// Its result.
        outcome: Result<Sent, SendError>,
    },
    /// A log-worthy diagnostic.
    Note(Diagnostic),
}
