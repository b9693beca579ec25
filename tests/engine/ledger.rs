//! What must hold whatever happens: every promise kept once, and nothing sent where nothing is connected.

use std::collections::{HashMap, HashSet, VecDeque};

use agora_chat::{
    ConnectionState, EventKind, OpenError, SendError,
    account::TokenReason,
    admission::AttemptKind,
    session::{Action, Engine, Frame, Input, PageId, TokenFetch},
    wire::{MSync, Upward},
};

/// Where the engine's actions put the connection; finer than [`ConnectionState`], which does not tell the steps of
/// a reconnect apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    #[default]
    Out,
    State,
    Admission,
    Discovery,
    Token,
    Connect,
    Provision,
    Pause,
    Online,
    Bye,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) place: Place,
    in_session: bool,
    opening: bool,
    /// Whether each attempt needs a permit, and whether one is held.
    admission: bool,
    permit: bool,
    disconnected: u32,
    /// Whether only the caller of `open` hears of the end.
    failed_quietly: bool,
    unanswered: HashMap<u64, u32>,
    /// What was given to be sent and has neither gone out nor failed, in order.
    unsent: VecDeque<u64>,
    /// What went out and has no outcome yet.
    sent: HashSet<u64>,
    rejected: bool,
    dialing: bool,
    up: bool,
    /// Whether an ask for the next token is under way.
    pub(crate) asking: bool,
    /// The same of the end of a token that the application gave.
    given_asking: bool,
    /// The tokens that the application gave, whose outcome is still to be told.
    renewals: HashSet<u64>,
    /// The pages given to the message handler, by queue.
    pub(crate) given: HashMap<Box<str>, PageId>,
    syncing: bool,
}

impl Ledger {
    /// Notes an input before it is given to the engine.
    pub(crate) fn before(&mut self, input: &Input<'_>) {
        self.rejected = false;
        match input {
            Input::Open(account) => {
                self.rejected = self.in_session;
                if !self.in_session {
                    let admission = format!("{account:?}").contains("admission: Some");
                    *self = Ledger { in_session: true, opening: true, admission, ..Ledger::default() };
                }
            }
            Input::Admitted if self.place == Place::Admission => self.permit = true,
            Input::Connected if self.dialing => (self.dialing, self.up) = (false, true),
            Input::TokenReady { fetch: TokenFetch::Session, .. } => self.asking = false,
            Input::TokenReady { fetch: TokenFetch::Application, .. } => self.given_asking = false,
            Input::RenewToken { renewal, .. } => assert!(self.renewals.insert(*renewal)),
            Input::CancelRenewal { renewal } => drop(self.renewals.remove(renewal)),
            Input::Lost(_) => (self.dialing, self.up) = (false, false),
            Input::Handled { page } | Input::Postponed { page, .. } => self.given.retain(|_, given| given != page),
            Input::Send { client_id, .. } | Input::Room { client_id, .. } => {
                *self.unanswered.entry(*client_id).or_default() += 1;
                self.unsent.push_back(*client_id);
            }
            _ => {}
        }
    }

    /// Checks what the engine did about it.
    pub(crate) fn after(&mut self, engine: &Engine, actions: &[Action]) {
        for action in actions {
            self.action(action);
        }
        assert!(!self.rejected, "a second open must be rejected: {actions:?}");
        if self.given.is_empty() && self.place != Place::Bye {
            assert_eq!(engine.in_flight_bytes(), 0, "what nobody handles must not be held");
        }
        let out = engine.state() == ConnectionState::LoggedOut;
        assert_eq!(self.in_session, !out, "the state must tell of the session: {actions:?}");
        let untimed = out || self.place == Place::Admission;
        assert!(!out || engine.deadline().is_none(), "nothing is timed without a session");
        assert!(
            untimed || engine.deadline().is_some(),
            "something is timed while there is a session, unless it waits for admission"
        );
        assert_eq!(engine.user().is_none(), out);
        let agrees = match (self.place, engine.state()) {
            (Place::Out, ConnectionState::LoggedOut)
            | (Place::Online, ConnectionState::Online)
            | (Place::Bye, ConnectionState::LoggingOut) => true,
            (place, ConnectionState::LoggingIn { .. } | ConnectionState::Reconnecting { .. }) => {
                !matches!(place, Place::Out | Place::Online | Place::Bye)
            }
            _ => false,
        };
        assert!(agrees, "at {:?} the state is {}", self.place, engine.state());
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Recall { .. } => self.enter(Place::State),
            Action::Admit(attempt) => {
                assert!(self.admission && !self.permit, "a permit is asked for once, where that is wanted");
                assert_eq!(attempt.kind == AttemptKind::First, self.opening);
                self.enter(Place::Admission);
            }
            Action::AttemptOver(_) => assert!(std::mem::take(&mut self.permit), "an attempt ends once"),
            Action::Discover => {
                self.goes_out();
                self.enter(Place::Discovery);
            }
            Action::Connect { .. } => {
                self.goes_out();
                self.enter(Place::Connect);
                self.dialing = true;
            }
            Action::Transmit(frame) => {
                assert!(self.up, "{} was sent without a link", frame.kind());
                match frame.kind() {
                    "PROVISION" => self.place = Place::Provision,
                    "LOGOUT" => self.place = Place::Bye,
                    "send" => self.went_out(client_id(frame)),
                    // One that nobody asked for is a room joined again.
                    "room" if self.unsent.contains(&client_id(frame)) => self.went_out(client_id(frame)),
                    _ => {}
                }
            }
            Action::Hangup => {
                (self.dialing, self.up) = (false, false);
                // The ask for a token goes on.
                if !(self.place == Place::Token && self.asking) {
                    self.place = Place::Pause;
                }
            }
            Action::FetchToken { fetch: TokenFetch::Session, request, .. } => {
                assert!(!std::mem::replace(&mut self.asking, true), "two tokens are asked for at once");
                if self.place != Place::Online {
                    self.goes_out();
                }
                // One that is asked for ahead changes nothing about the place.
                if request.reason != TokenReason::Expiring {
                    self.place = Place::Token;
                }
            }
            Action::DropTokenFetch(TokenFetch::Session) => self.asking = false,
            Action::FetchToken { fetch: TokenFetch::Application, .. } => {
                assert!(!std::mem::replace(&mut self.given_asking, true), "two ends are asked for at once");
            }
            Action::DropTokenFetch(TokenFetch::Application) => self.given_asking = false,
            Action::Renewed { renewal, .. } => {
                assert!(self.renewals.remove(renewal), "only what was given is answered, and once");
            }
            Action::Emit(event) => self.event(event),
            Action::Opened(result) => {
                assert!(std::mem::take(&mut self.opening), "open was answered twice, or unasked");
                let told = |error: &OpenError| matches!(error, OpenError::Refused { .. } | OpenError::Ended { .. });
                self.failed_quietly = result.as_ref().is_err_and(|error| !told(error));
            }
            Action::Rejected(OpenError::Account(_)) => {
                assert!(std::mem::take(&mut self.opening), "only an open is rejected");
                self.in_session = false;
            }
            Action::Rejected(error) => {
                assert!(std::mem::take(&mut self.rejected), "only a second open is rejected");
                assert!(matches!(error, OpenError::InProgress { .. } | OpenError::AlreadyOpen { .. }));
                assert_eq!(matches!(error, OpenError::InProgress { .. }), self.opening);
            }
            Action::Sent { client_id, outcome } => {
                let left = self.unanswered.get_mut(client_id).expect("only what was sent is answered");
                *left = left.checked_sub(1).expect("a send is answered once");
                if *left == 0 {
                    self.unanswered.remove(client_id);
                }
                if let Err(
                    SendError::OutcomeUnknown { client_id: named, .. } | SendError::Expired { client_id: named, .. },
                ) = outcome
                {
                    assert_eq!(named, client_id);
                }
                self.came_of(*client_id, outcome.as_ref().err());
            }
            Action::Deliver(page) => {
                assert!(self.in_session && self.place != Place::Bye, "a page is given out at the end of a session");
                assert_eq!(self.given.insert(page.queue.clone(), page.id), None, "two pages of one queue at once");
            }
            Action::Closed => self.closed(),
            _ => {}
        }
    }

    /// Nothing of an attempt goes out before its permit.
    fn goes_out(&self) {
        assert!(self.permit || !self.admission, "something goes out without a permit");
    }

    /// Everything goes out once, and in the order it was given.
    fn went_out(&mut self, client_id: u64) {
        assert_eq!(self.unsent.pop_front(), Some(client_id), "sends go out in order: {:?}", self.unsent);
        assert!(self.sent.insert(client_id), "{client_id} goes out twice");
    }

    /// Only what went out is taken, refused or of unknown outcome; everything else never did.
    fn came_of(&mut self, client_id: u64, error: Option<&SendError>) {
        match error {
            None | Some(SendError::Refused { .. } | SendError::OutcomeUnknown { .. }) => {
                assert!(self.sent.remove(&client_id), "{client_id} never went out: {error:?}");
            }
            Some(error @ (SendError::Expired { .. } | SendError::Ended(_))) => {
                let at = self.unsent.iter().position(|id| *id == client_id);
                assert!(at.is_some(), "{client_id} went out, but it is said that it did not: {error}");
                at.map(|at| self.unsent.remove(at));
            }
            // Told at once; the id may be that of another send, which came before.
            Some(error) => assert_eq!(self.unsent.pop_back(), Some(client_id), "{error}"),
        }
    }

    /// Whatever begins, nothing else may be under way.
    fn enter(&mut self, place: Place) {
        assert!(!self.dialing && !self.up, "{place:?} begins over an open link");
        self.place = place;
    }

    fn event(&mut self, event: &EventKind) {
        assert!(self.in_session, "an event without a session: {event:?}");
        match event {
            EventKind::Connected { resumed } => {
                assert!(self.up);
                assert_eq!(*resumed, !self.opening);
                self.place = Place::Online;
            }
            EventKind::Disconnected { .. } => {
                self.disconnected += 1;
                assert!(!self.syncing, "the end of a sync is told before that of the session");
            }
            EventKind::Reconnecting { .. } => {
                assert_eq!(self.place, Place::Pause);
                assert!(!self.syncing, "the end of a sync is told before the loss of the link");
            }
            EventKind::OfflineSyncStarted { .. } => assert!(!std::mem::replace(&mut self.syncing, true)),
            EventKind::OfflineSyncFinished { .. } => assert!(std::mem::take(&mut self.syncing)),
            _ => {}
        }
    }

    fn closed(&mut self) {
        assert!(!self.permit, "a permit is still held");
        assert!(!self.opening, "open is still to be answered");
        assert!(!self.dialing && !self.up, "the link is still there");
        if std::mem::take(&mut self.in_session) {
            assert!(self.unanswered.is_empty(), "unanswered sends are left: {:?}", self.unanswered);
            let expected = u32::from(!self.failed_quietly);
            assert!(self.renewals.is_empty(), "tokens that were given are still to be answered: {:?}", self.renewals);
            assert_eq!(self.disconnected, expected, "Disconnected is told once, but not of a failed login");
        }
        self.place = Place::Out;
        (self.asking, self.given_asking) = (false, false);
        self.given.clear();
    }
}

/// The client id of a send.
pub(crate) fn client_id(frame: &Frame) -> u64 {
    match MSync::decode_frame(frame.bytes().clone(), 1 << 20).unwrap().upward().unwrap() {
        Upward::Sync(sync) => sync.meta.expect("a send has a meta").id(),
        other => panic!("not a send: {other:?}"),
    }
}
