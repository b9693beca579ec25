//! What a session has others do.

use std::sync::Arc;

#[cfg(doc)]
use crate::session::Input;
use crate::{
    model::{
        Event, EventKind,
        account::{Device, UserId},
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

/// What to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Read what the state folder keeps of the account; answer with [`Input::Recalled`]. The login goes on without where
    /// that does not come in time.
    Recall {
        /// Whose.
        user: UserId,
        /// Who this device is where the folder does not say otherwise.
        device: Arc<Device>,
    },
    /// Fetch `server.json`; answer with [`Input::Discovered`].
    Discover,
    /// Get a token and its end; answer with [`Input::TokenReady`]. There is one fetch at a time for the session, and one for
    /// the application. Each goes on over [`Action::Hangup`] until [`Action::DropTokenFetch`] or [`Action::Closed`].
    FetchToken {
        /// On whose behalf.
        fetch: TokenFetch,
        /// For whom and why.
        request: TokenRequest,
        /// Where from.
        from: TokenSource,
    },
    /// Give up a fetch; nothing of it may be reported afterwards.
    DropTokenFetch(TokenFetch),
    /// Keep the token of an accepted session in the state folder, in the place of the one there. Only where
    /// [`Config`](crate::Config) has a state folder.
    TokenChanged(TokenGrant),
    /// Remove the token from the state folder: it is of no use any more. Only where there is a state folder.
    ForgetToken,
    /// An [`Input::RenewToken`] is over: the token's end in milliseconds since 1970, or why nothing has changed.
    Renewed {
        /// Which one.
        renewal: u64,
        /// What came of it.
        outcome: Result<u64, RequestError>,
    },
    /// Connect a WebSocket; answer with [`Input::Connected`] or [`Input::Lost`].
    Connect {
        /// Where; whole, and without the session's secrets where it is shown.
        url: ServerText,
    },
    /// Send a binary message. It holds a token in PROVISION and LOGOUT: never log its bytes.
    Transmit(Frame),
    /// Give up whatever is under way: the socket, a connect, discovery, a look at the state folder. Nothing of it may be reported
    /// afterwards.
    Hangup,
    /// Tell the subscribers.
    Emit(EventKind),
    /// Tell the subscribers an event that the message handler gets as well.
    Publish(Event),
    /// Have the message handler handle a page, then keep its key if it has one; answer with [`Input::Handled`] or
    /// [`Input::Postponed`]. No two pages of one queue are given out at once, and no more than [`Limits::pulls`](crate::Limits) in all. What is
    /// handled goes on over [`Action::Hangup`]; nothing more of it may begin after [`Action::Closed`].
    Deliver(Page),
    /// Read the keys kept for the account; answer with [`Input::Cursors`]. No queue is pulled before.
    LoadCursors {
        /// What to answer with.
        load: u64,
        /// Whose keys.
        user: UserId,
    },
    /// The login asked for by [`Input::Open`] is over.
    Opened(Result<(), OpenError>),
    /// An [`Input::Open`] came at the wrong time; the login under way is not touched.
    Rejected(OpenError),
    /// The session is over; whoever asked for the end can be told.
    Closed,
    /// A send, or a request for a chat room, is over.
    Sent {
        /// Its client id.
        client_id: u64,
        /// What came of it.
        outcome: Result<Sent, SendError>,
    },
    /// Something worth a log record.
    Note(Diagnostic),
}
