//! Every error that repeats a text of the application's or a server's: shown, it acts on no terminal and forges no line.

use std::{fmt::Display, io, path::PathBuf, time::Duration};

use crate::{
    config::Config,
    delivery::{DeadLetterError, HandlerError},
    logger::{LogError, LogLevel},
    model::{
        account::{AppKey, Device, UserId},
        auth::agora_token::TokenProblem,
        error::{
            CertificateProblem, Code, ConfigError, ConnectStep, CredentialError, DisconnectReason, Kick, LossCause,
            OpenError, Operation, ProviderError, Refusal, RestError, RestErrorKind, SendError, StateError, TokenError,
        },
        message::BundleError,
    },
    net::{DialError, Proxy, Roots, RootsError},
    rest::Resource,
    store::CursorError,
};

/// What may not be shown as it is: a line of its own, a terminal's commands, and letters that turn others around.
const EVIL: &str = "x\r\n2026-01-01 ERRO forged\u{1b}[2J\u{7}\u{7f}\u{9b}1m\u{202e}\u{2066}\u{2028}\u{2029}\u{200f}y";

fn is_safe(what: &str, shown: impl Display) {
    let shown = shown.to_string();
    let acts = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!shown.contains(acts), "{what}: {shown:?}");
}

/// As [`is_safe`], of an error that has the text in it.
fn repeats(what: &str, shown: impl Display) {
    assert!(shown.to_string().contains("forged"), "{what} does not repeat the text: {shown}");
    is_safe(what, shown);
}

#[test]
fn no_error_shows_a_character_that_acts_on_a_terminal_or_a_line() {
    let evil = || EVIL.to_owned();
    let path = || PathBuf::from(EVIL);
    let gone = || io::Error::from(io::ErrorKind::NotFound);

    // What an application gives.
    for text in [evil(), format!("{EVIL}#a"), format!("#{EVIL}"), format!("a#b#{EVIL}"), format!("..#{EVIL}")] {
        let Err(error) = text.parse::<AppKey>() else { panic!("{text:?}") };
        repeats("AppKeyError", &error);
        repeats("ConfigError::AppKey", ConfigError::from(error));
    }
    let user: CredentialError = "x\r\nforged".parse::<UserId>().unwrap_err();
    repeats("CredentialError", user);
    let config = || Config::builder("o#a").allow_plaintext();
    repeats("ConfigError::Address", config().addresses(evil(), "ws://h/websocket").build().unwrap_err());
    repeats("ConfigError::Address", config().addresses("http://h", evil()).build().unwrap_err());
    repeats("ConfigError::Device", Device::new(evil()).check().unwrap_err());
    repeats("ConfigError::Range", ConfigError::Range { what: "it", value: evil(), allowed: "less" });
    repeats("ResourceError", EVIL.parse::<Resource>().unwrap_err());
    is_safe("ProxyError", Proxy::http(EVIL).unwrap_err());
    is_safe("InvalidLevel", EVIL.parse::<LogLevel>().unwrap_err());
    is_safe("RootsError", Roots::from_pem(format!("-----BEGIN CERTIFICATE-----\n{EVIL}").as_bytes()).unwrap_err());
    repeats("RootsError", RootsError::Malformed(evil()));
    repeats("SendError::Invalid", SendError::Invalid(evil()));
    repeats("BundleError", BundleError::Message { index: 0, error: SendError::Invalid(evil()) });
    repeats("HandlerError", HandlerError::new(EVIL));
    repeats("CursorError", CursorError::new(EVIL));
    repeats("DeadLetterError", DeadLetterError::new(EVIL));
    repeats("ProviderError", ProviderError::new(EVIL));
    repeats("TokenError", TokenError::from(ProviderError::new(EVIL)));
    repeats("LogError", LogError::File { path: path(), source: gone() });
    repeats("StateError::Io", StateError::Io { doing: "read", path: path(), source: gone() });
    repeats("StateError::Damaged", StateError::Damaged { path: path(), aside: path(), problem: evil() });
    repeats("StateError::Kind", StateError::Kind { path: path(), found: "a pipe".to_owned(), wanted: "a file" });
    repeats("StateError::Owner", StateError::Owner { path: path(), owner: 1, user: 2 });
    repeats("TokenProblem", TokenProblem::OtherUser { found: evil(), expected: evil() });
    repeats("TokenProblem", TokenProblem::OtherApp { found: evil(), expected: evil() });
    repeats("DialError", DialError::Plaintext(evil()));
    repeats("DialError", DialError::PlaintextProxy { host: evil(), proxy: evil() });

    // What a server, a proxy or a library says.
    let refused = || Refusal::classify(1, Some(evil()));
    let kick = || Kick::LoggedInElsewhere { ext: Some(EVIL.into()) };
    let certificate = || CertificateProblem::Other(EVIL.into());
    let causes = || {
        vec![
            LossCause::ClosedByPeer { code: Some(1000), reason: evil() },
            LossCause::Io(evil()),
            LossCause::Protocol(evil()),
            LossCause::Failed { step: ConnectStep::Provision, detail: evil() },
            LossCause::Certificate(certificate()),
            LossCause::Refused(refused()),
            LossCause::Kicked(kick()),
            LossCause::Token(ProviderError::new(EVIL).into()),
        ]
    };
    for cause in causes() {
        repeats("LossCause", &cause);
        repeats("SendError::OutcomeUnknown", SendError::OutcomeUnknown { client_id: 1, cause: cause.clone() });
        let ended = DisconnectReason::AttemptsExhausted { attempts: 1, last: cause };
        repeats("DisconnectReason", &ended);
        repeats("SendError::Ended", SendError::Ended(ended));
    }
    let user: UserId = "alice".parse().unwrap();
    repeats("OpenError::Refused", OpenError::Refused { user: user.clone(), refusal: refused() });
    repeats("DisconnectReason::Kicked", DisconnectReason::Kicked(kick()));
    let send = SendError::Refused { code: Code::SERVER_UNKNOWN_ERROR, status: 1, reason: evil() };
    repeats("SendError::Refused", send);
    for kind in [
        RestErrorKind::Unreachable(evil()),
        RestErrorKind::Tls(evil()),
        RestErrorKind::Certificate(certificate()),
        RestErrorKind::Address(evil()),
        RestErrorKind::File { kind: io::ErrorKind::NotFound, detail: evil() },
        RestErrorKind::UnexpectedAnswer(evil()),
    ] {
        let error = RestError::local(Operation::AppToken, kind).about(None, Some(EVIL));
        repeats("RestError", &error);
        repeats("DisconnectReason::Rest", DisconnectReason::Rest(error.clone()));
        repeats("TokenError::Rest", TokenError::from(error));
    }
    #[cfg(feature = "local-server")]
    {
        use crate::local_server::LocalServerError as Error;
        for error in [
            Error::UserExists(evil()),
            Error::NoSuchUser(evil()),
            Error::NotFound { what: "group", id: evil() },
            Error::Header(evil()),
            Error::Upstream(evil()),
        ] {
            repeats("LocalServerError", error);
        }
    }
    is_safe("CursorError::Timeout", CursorError::Timeout(Duration::from_secs(1)));
}
