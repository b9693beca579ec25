//! What a session has others do.

use std::sync::Arc;

#[cfg(doc)]
use crate::session::Input;
use crate::{
    model::{
        Event, EventKind,
        account::{Device, Password, UserId},
        auth::TokenRequest,
        error::{OpenError, SendError},
        outgoing::Sent,
        server_text::ServerText,
    },
    session::{diagnostic::Diagnostic, inbox::in_flight::Page, tokens::renewal::TokenSource},
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
    /// Fetch a token by REST; answer with [`Input::TokenFetched`].
    FetchToken {
        /// For whom.
        user: UserId,
        /// The password.
        password: Password,
    },
    /// Get the session its next token; answer with [`Input::TokenProvided`]. There is one such ask at a time, and it
    /// goes on over [`Action::Hangup`] until [`Action::DropRenewal`] or [`Action::Closed`].
    RenewToken {
        /// For whom and why.
        request: TokenRequest,
        /// Where from.
        from: TokenSource,
    },
    /// Give up the ask for a token; nothing of it may be reported afterwards.
    DropRenewal,
    /// Connect a WebSocket; answer with [`Input::Connected`] or [`Input::Lost`].
    Connect {
        /// Where; whole, and without the session's secrets where it is shown.
        url: ServerText,
    },
    /// Send a binary message. It holds a token in PROVISION and LOGOUT: never log its bytes.
    Transmit(Frame),
    /// Give up whatever is under way: the socket, a connect, a REST call of the way in. Nothing of it may be reported
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
