//! The user of the recorded metas, online, and what it hears of a page.

use std::{sync::Arc, time::Duration};

use agora_chat::{
    Account, Config, Credentials, EventKind, EventMask,
    account::Device,
    session::{Action, Engine, Input, Now},
    wire::{
        self, CommSyncDl, CommUnreadDl, Jid, MSync, MessageBody, Meta, Provision, Status, meta::NameSpace,
        msync::Command,
    },
};

pub(crate) const APP: &str = "org#app";
pub(crate) const USER: &str = "alice";
pub(crate) const RESOURCE: &str = "webim_web_1";

/// The account of the recorded metas on the device of theirs, online.
pub(crate) struct Receiver(Engine);

impl Receiver {
    pub(crate) fn online() -> Self {
        let config = Config::builder(APP).allow_plaintext();
        let config = config.addresses("http://rest.test", "ws://one.test/websocket");
        let mut receiver = Receiver(Engine::new(Arc::new(config.build().unwrap()), 7));
        let account = Account::new(Credentials::token(USER, "tok").unwrap()).device(Device::new(RESOURCE));
        receiver.step(Input::Open(account));
        receiver.step(Input::Connected);
        let status = Some(Status { error_code: Some(0), ..Status::default() });
        let accepted = Provision { status: status.clone(), ..Provision::default() };
        receiver.frame(Command::Provision, &accepted);
        receiver.frame(Command::Unread, &CommUnreadDl { status, ..CommUnreadDl::default() });
        receiver
    }

    pub(crate) fn wanting(wanted: EventMask) -> Self {
        let mut receiver = Receiver::online();
        receiver.0.set_wanted(wanted);
        receiver
    }

    fn step(&mut self, input: Input<'_>) -> Vec<EventKind> {
        let mut actions = Vec::new();
        self.0.step(input, Now { mono: Duration::from_secs(1), wall: 1_700_000_000_000 }, &mut actions);
        let events = actions.into_iter().filter_map(|action| match action {
            Action::Emit(event) => Some(event),
            _ => None,
        });
        events.collect()
    }

    fn frame(&mut self, command: Command, payload: &impl prost::Message) -> Vec<EventKind> {
        self.step(Input::Frame(&MSync::from_server(command, payload).to_bytes()))
    }

    /// The events that a page of these metas leads to.
    pub(crate) fn page(&mut self, metas: Vec<Meta>) -> Vec<EventKind> {
        let queue = Some(Jid::user(APP, "bob"));
        let status = Some(Status { error_code: Some(0), ..Status::default() });
        let page = CommSyncDl { status, queue, metas, is_last: Some(true), ..CommSyncDl::default() };
        self.frame(Command::Sync, &page)
    }
}

/// The one event that a meta leads to.
pub(crate) fn event(meta: Meta) -> EventKind {
    let mut events = Receiver::online().page(vec![meta]);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

pub(crate) fn named(name: &str) -> Option<Jid> {
    Some(Jid { name: Some(name.to_owned()), ..Jid::default() })
}

/// A chat meta from one to another, who is a group or a room if the name begins with `900`.
pub(crate) fn chat(id: u64, from: &str, to: &str, body: MessageBody) -> Meta {
    let body = MessageBody { from: named(from), to: named(to), ..body };
    Meta {
        id: Some(id),
        from: Some(Jid::user(APP, from)),
        to: Some(if to.starts_with("900") { Jid::group(APP, to) } else { Jid::user(APP, to) }),
        timestamp: Some(5),
        ns: Some(NameSpace::Chat as i32),
        payload: Some(wire::encode(&body)),
        ..Meta::default()
    }
}

pub(crate) fn text(text: &str) -> MessageBody {
    let content = wire::Content { r#type: Some(0), text: Some(text.to_owned()), ..wire::Content::default() };
    MessageBody { r#type: Some(1), contents: vec![content], ..MessageBody::default() }
}

/// A notification.
pub(crate) fn notify(json: &serde_json::Value) -> Meta {
    let payload = Some(json.to_string().into_bytes().into());
    Meta { id: Some(9), ns: Some(NameSpace::Notify as i32), payload, ..Meta::default() }
}
