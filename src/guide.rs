//! The user guide: one page for each task. The same pages are in the repository's folder `docs`.
//!
//! # Use
//!
//! | I want to | Page |
//! |---|---|
//! | log in, by password, token or token provider | [The service](operating#the-service), [tokens](events#tokens) |
//! | renew tokens | [Tokens](events#tokens) |
//! | send messages and files, use chat rooms, read history | [Sending](sending) |
//! | receive without loss | [Receiving without loss](delivery) |
//! | subscribe to events | [Events](events), [subscribers](events#subscribers) |
//! | understand a number | [Codes](codes) |
//! | test against the local server | [Testing](testing) |
//! | come from the vendor's web SDK | [Compared with the web SDK](compared_with_the_web_sdk) |
//!
//! # Operate
//!
//! | I want to | Page |
//! |---|---|
//! | deploy a program: start, stop, systemd, what is stored where | [Operating](operating) |
//! | log, to a file or as JSON | [Logging](operating#logging) |
//! | keep a connection over lost links and kicks | [Reconnecting](reconnecting) |
//! | know what happens in a fault | [Faults](faults) |
//! | run many accounts | [The fleet](fleet), [connections by themselves](operating#many-accounts) |
//! | run many accounts without a program of my own | [`agora-chat fleet run`](fleet#agora-chat-fleet-run) |
//! | look at a fleet and tell it what to do over HTTP | [The admin interface](fleet#the-admin-interface) |
//! | monitor a fleet | [Metrics](metrics) |
//! | manage users and devices from a server | [Users and devices by REST](operating#users-and-devices-by-rest) |
//! | see or change a bound | [Limits](limits) |
//! | know who is trusted with what | [Security](security) |
//! | know what it costs | [Performance](performance), [work per received byte](work_per_byte) |
//!
//! # Understand and change the crate
//!
//! [Architecture](architecture) has the rooms of the source, the way of a text and of a token through them, and a glossary.
//! [Protocol](protocol) describes what goes over the wire.
//!
//! # Programs
//!
//! [Examples](examples) has three whole programs.
//!
//! # In the repository
//!
//! Paths on these pages, such as `tests/vectors` or `.ci/run`, name files of the repository. "Connection spec" and
//! "messages spec" are sections of the [protocol's description](protocol).

/// Where the links of the pages lead in rustdoc.
///
/// A page ends with the definitions of its links, such as `[codes]: codes.md`, which lead to files of the repository. Of
/// several definitions of one name the first counts, so these are put before each page. `tests/structure/docs.rs` holds the two to
/// the same pages.
macro_rules! links {
    () => {
        "
[boot]: crate::guide::operating#starting-while-the-service-is-down
[codes]: crate::guide::codes
[connection-spec]: crate::guide::protocol::connection
[delivery]: crate::guide::delivery
[events]: crate::guide::events
[example-actix-web-app]: crate::guide::examples#an-actix-web-app
[example-local-server]: crate::guide#in-the-repository
[faults]: crate::guide::faults
[fleet]: crate::guide::fleet
[fleet-admin]: crate::guide::fleet#the-admin-interface
[fleet-cause]: crate::fleet::CauseKind
[fleet-state]: crate::fleet::StateKind
[files]: crate::guide::sending#files-history-presence-attributes-conversations
[kick]: crate::errors::Kick
[kicks]: crate::guide::reconnecting#kicks
[limits]: crate::guide::limits
[local-server-limits]: crate#features
[messages-spec]: crate::guide::protocol::messages
[metrics]: crate::guide::metrics
[performance]: crate::guide::performance
[reconnecting]: crate::guide::reconnecting
[rooms]: crate::guide::sending#chat-rooms
[security]: crate::guide::security
[sending]: crate::guide::sending
[service]: crate::guide::operating#the-service
[stored]: crate::guide::operating#what-is-stored-where
[subscribers]: crate::guide::events#subscribers
[testing]: crate::guide::testing
[tokens]: crate::guide::events#tokens
[token-url]: crate::rest::TokenUrl
[users]: crate::guide::operating#users-and-devices-by-rest
[vectors]: crate::guide#in-the-repository
[work-per-byte]: crate::guide::work_per_byte
"
    };
}

/// Makes a module of each page, with links to the items it speaks of.
macro_rules! pages {
    ($($name:ident = $file:literal, $items:literal;)*) => {
        $(
            #[doc = links!()]
            #[doc = include_str!(concat!("../docs/", $file))]
            #[doc = concat!("\n## In the API\n\n", $items)]
            pub mod $name {}
        )*
    };
}

pages! {
    architecture = "architecture.md",
        "[`ConnectionActor`](crate::ConnectionActor), [`HandlerRegistry`](crate::HandlerRegistry), \
         [`LoggerActor`](crate::LoggerActor), [`Engine`](crate::session::Engine), [`wire`](crate::wire)";
    codes = "codes.md",
        "[`Code`](crate::Code), [`DisconnectReason`](crate::DisconnectReason), [`Kick`](crate::errors::Kick), \
         [`Refusal`](crate::errors::Refusal), [`OpenError`](crate::OpenError), [`SendError`](crate::SendError), \
         [`RequestError`](crate::RequestError), [`RestError`](crate::errors::RestError), [`LossCause`](crate::LossCause)";
    compared_with_the_web_sdk = "compared-with-the-web-sdk.md",
        "[`Connection`](crate::Connection), [`EventHandler`](crate::EventHandler), [`token`](crate::token)";
    delivery = "delivery.md",
        "[`MessageHandler`](crate::MessageHandler), [`Delivery`](crate::Delivery), \
         [`DeadLetters`](crate::DeadLetters), [`FileDeadLetters`](crate::delivery::FileDeadLetters), \
         [`CursorStore`](crate::store::CursorStore), [`FileCursors`](crate::store::FileCursors), \
         [`Connection::set_message_handler`](crate::Connection::set_message_handler)";
    events = "events.md",
        "[`Event`](crate::Event), [`EventKind`](crate::EventKind), [`EventMask`](crate::EventMask), \
         [`EventHandler`](crate::EventHandler), [`Subscription`](crate::Subscription), \
         [`Overflow`](crate::Overflow), [`handlers`](crate::handlers), [`Credentials`](crate::Credentials), \
         [`TokenProvider`](crate::TokenProvider), [`token`](crate::token)";
    faults = "faults.md",
        "[`LossCause`](crate::LossCause), [`DisconnectReason`](crate::DisconnectReason), \
         [`OpenError`](crate::OpenError), [`CertificateProblem`](crate::errors::CertificateProblem), \
         [`Connection::network_changed`](crate::Connection::network_changed)";
    fleet = "fleet.md",
        "[`fleet`](crate::fleet), [`Fleet`](crate::fleet::Fleet), [`FleetConfig`](crate::fleet::FleetConfig), \
         [`TokenUrl`](crate::rest::TokenUrl)";
    limits = "limits.md",
        "[`Limits`](crate::Limits), [`Config`](crate::Config), [`Reconnect`](crate::Reconnect), \
         [`Subscription`](crate::Subscription), [`MessageHandler`](crate::MessageHandler), \
         [`LogConfig`](crate::LogConfig)";
    metrics = "metrics.md",
        "[`Fleet::metrics`](crate::fleet::Fleet::metrics), [`Fleet::metrics_of`](crate::fleet::Fleet::metrics_of)";
    operating = "operating.md",
        "[`Config`](crate::Config), [`Credentials`](crate::Credentials), [`Connection`](crate::Connection), \
         [`Closed`](crate::connection::Closed), [`Health`](crate::connection::Health), [`StateDir`](crate::StateDir), \
         [`RestClient`](crate::RestClient), [`Proxy`](crate::network::Proxy), [`Roots`](crate::network::Roots), \
         [`logger`](crate::logger)";
    performance = "performance.md",
        "[`Engine`](crate::session::Engine), [`handlers`](crate::handlers), [`logger`](crate::logger)";
    reconnecting = "reconnecting.md",
        "[`Reconnect`](crate::Reconnect), [`Flapping`](crate::config::Flapping), [`KickPolicy`](crate::KickPolicy), \
         [`Connection::watch`](crate::Connection::watch), \
         [`Connection::network_changed`](crate::Connection::network_changed)";
    security = "security.md",
        "[`Password`](crate::account::Password), [`Token`](crate::account::Token), [`StateDir`](crate::StateDir), \
         [`Roots`](crate::network::Roots), [`Claims`](crate::messages::Claims)";
    sending = "sending.md",
        "[`Connection::send`](crate::Connection::send), [`Outgoing`](crate::Outgoing), \
         [`Conversation`](crate::Conversation), [`Sent`](crate::Sent), [`SendError`](crate::SendError), \
         [`Attachment`](crate::messages::Attachment), [`Bundle`](crate::messages::Bundle), [`RoomRequest`](crate::messages::RoomRequest), \
         [`Connection::upload`](crate::Connection::upload), [`rest`](crate::rest)";
    testing = "testing.md",
        "The module `local_server`, with the feature [`local-server`](crate#features).";
    work_per_byte = "work-per-byte.md",
        "[`Limits`](crate::Limits), [`Engine`](crate::session::Engine), [`wire`](crate::wire)";
}

/// What this crate knows of the protocol: [the connection](protocol::connection), and [messages](protocol::messages) on it.
pub mod protocol {
    // A mark such as `[R]` on these pages says where a statement comes from.
    #[allow(rustdoc::broken_intra_doc_links, reason = "marks in brackets are no links")]
    #[doc = links!()]
    #[doc = include_str!("../docs/protocol/connection.md")]
    pub mod connection {}

    #[allow(rustdoc::broken_intra_doc_links, reason = "marks in brackets are no links")]
    #[doc = links!()]
    #[doc = include_str!("../docs/protocol/messages.md")]
    pub mod messages {}
}

/// Three whole programs. The repository has more in its folder `examples`, listed in the README.
///
/// # The whole story against a local server
/// `cargo run --example quickstart`
#[doc = concat!("```rust,ignore\n", include_str!("../examples/quickstart.rs"), "\n```")]
/// # A bot
/// `cargo run --example echo_bot -- --help`
#[doc = concat!("```rust,ignore\n", include_str!("../examples/echo_bot.rs"), "\n```")]
/// # An actix-web app
/// `cargo run --example actix_web_app`
#[doc = concat!("```rust,ignore\n", include_str!("../examples/actix_web_app.rs"), "\n```")]
pub mod examples {}
