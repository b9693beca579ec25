//! Every offline account explains itself: faults as a connection tells them, and what the account says of them.

use std::time::Duration;

use super::{AttemptEnd, Report, tests::World};
use crate::{
    config::KickPolicy,
    fleet::{
        AccountSpec, Advice, CauseKind, StateKind,
        shard::{end_of, end_of_open},
    },
    model::{
        account::UserId,
        admission::AttemptFailure,
        auth::Credentials,
        error::{
            ActorEnd, CertificateProblem, Code, ConfigError, ConnectStep, ConnectionError, DisconnectReason, Kick,
            LossCause, OpenError, Operation, ProviderError, Refusal, RestError, RestErrorKind, TokenError,
        },
        server_text::ServerText,
    },
};

/// How a connection tells a fault.
enum Fault {
    /// An attempt failed, and the next comes by itself.
    Attempt(LossCause),
    /// `open` failed.
    Open(OpenError),
    /// The session ended.
    End(DisconnectReason),
    /// The link was lost, and an attempt to regain it comes.
    Lost(LossCause),
}

fn user() -> UserId {
    "bot-1".parse().unwrap()
}

fn failed(step: ConnectStep) -> Fault {
    Fault::Attempt(LossCause::Failed { step, detail: "no".into() })
}

fn timeout(step: ConnectStep) -> Fault {
    Fault::Attempt(LossCause::Timeout(step))
}

fn rest(status: u16, kind: RestErrorKind) -> RestError {
    RestError::answered(Operation::PasswordToken, status, kind, Code::REST_ERROR)
}

fn refused(status: i32, reason: &str) -> Refusal {
    Refusal::classify(status, Some(reason.into()))
}

fn token(error: RestError) -> Fault {
    Fault::Open(OpenError::Token { user: user(), error })
}

fn attempt_at_rest(error: RestError) -> Fault {
    Fault::Attempt(LossCause::Rest { step: ConnectStep::Token, error })
}

fn final_refusal(status: i32, reason: &str) -> Fault {
    Fault::Open(OpenError::Refused { user: user(), refusal: refused(status, reason) })
}

fn passing_refusal(status: i32, reason: &str) -> Fault {
    Fault::Attempt(LossCause::Refused(refused(status, reason)))
}

fn upgrade(status: u16) -> Fault {
    Fault::Attempt(LossCause::UpgradeRefused { status, retry_after: None })
}

#[test]
fn an_account_with_any_of_these_faults_says_what_it_is_and_what_to_do() {
    use Advice as A;
    use CauseKind as C;
    use RestErrorKind as R;
    use StateKind::{Failed, Parked, Paused, Reconnecting, Waiting};
    let kicked = |kick| Fault::End(DisconnectReason::Kicked(kick));
    let rows: Vec<(&str, Fault, StateKind, C, A)> = vec![
        ("no such host", failed(ConnectStep::Resolve), Waiting, C::Unreachable, A::CheckNetwork),
        ("connection refused", failed(ConnectStep::Connect), Waiting, C::Unreachable, A::CheckNetwork),
        ("DNS too slow", timeout(ConnectStep::Resolve), Waiting, C::Timeout, A::Wait),
        ("SYN not answered", timeout(ConnectStep::Connect), Waiting, C::Timeout, A::Wait),
        ("TLS handshake hangs", timeout(ConnectStep::Tls), Waiting, C::Timeout, A::Wait),
        ("upgrade not answered", timeout(ConnectStep::Upgrade), Waiting, C::Timeout, A::Wait),
        ("PROVISION not answered", timeout(ConnectStep::Provision), Waiting, C::Timeout, A::Wait),
        ("no TLS there", failed(ConnectStep::Tls), Waiting, C::Tls, A::CheckCertificate),
        (
            "certificate of another name",
            Fault::Attempt(LossCause::Certificate(CertificateProblem::WrongName)),
            Waiting,
            C::Tls,
            A::CheckCertificate,
        ),
        (
            "certificate has expired",
            Fault::Attempt(LossCause::Certificate(CertificateProblem::Expired)),
            Waiting,
            C::Tls,
            A::CheckCertificate,
        ),
        (
            "REST's certificate is not trusted",
            attempt_at_rest(RestError::local(
                Operation::PasswordToken,
                R::Certificate(CertificateProblem::UnknownRoot),
            )),
            Waiting,
            C::Tls,
            A::CheckCertificate,
        ),
        ("proxy refuses", failed(ConnectStep::Proxy), Waiting, C::Proxy, A::CheckProxy),
        ("proxy wants credentials", upgrade(407), Waiting, C::Proxy, A::CheckProxy),
        ("proxy hangs", timeout(ConnectStep::Proxy), Waiting, C::Proxy, A::CheckProxy),
        ("upgrade answered 404", upgrade(404), Waiting, C::WrongAddress, A::CheckAddress),
        ("upgrade answered with HTML", failed(ConnectStep::Upgrade), Waiting, C::WrongAddress, A::CheckAddress),
        ("upgrade answered 503", upgrade(503), Waiting, C::ServiceFailed, A::Wait),
        ("upgrade answered 429", upgrade(429), Waiting, C::RateLimited, A::Wait),
        ("token call answered 429", attempt_at_rest(rest(429, R::RateLimited)), Waiting, C::RateLimited, A::Wait),
        ("token call answered 503", attempt_at_rest(rest(503, R::ServerBusy)), Waiting, C::ServiceFailed, A::Wait),
        ("token call answered 500", attempt_at_rest(rest(500, R::ServerError)), Waiting, C::ServiceFailed, A::Wait),
        (
            "token call not answered",
            attempt_at_rest(RestError::local(Operation::PasswordToken, R::Timeout(Duration::from_secs(15)))),
            Waiting,
            C::Timeout,
            A::Wait,
        ),
        (
            "REST host not reached",
            attempt_at_rest(RestError::local(Operation::PasswordToken, R::Unreachable("no".into()))),
            Waiting,
            C::Unreachable,
            A::CheckNetwork,
        ),
        (
            "REST answers HTML",
            attempt_at_rest(rest(200, R::UnexpectedAnswer("html".into()))),
            Waiting,
            C::WrongAddress,
            A::CheckAddress,
        ),
        ("wrong app key", token(rest(404, R::AppNotFound)), Waiting, C::WrongAddress, A::CheckAddress),
        ("wrong password", token(rest(400, R::InvalidPassword)), Failed, C::BadCredentials, A::GiveCredentials),
        ("no such user", token(rest(404, R::UserNotFound)), Failed, C::UserMissing, A::RegisterUser),
        ("user is deactivated", token(rest(403, R::Forbidden)), Waiting, C::UserMissing, A::RegisterUser),
        ("service not enabled", token(rest(403, R::ServiceDisabled)), Waiting, C::ServingDisabled, A::EnableService),
        (
            "discovery names nothing",
            Fault::Open(OpenError::Discovery {
                user: user(),
                error: RestError::local(Operation::Discovery, R::DiscoveryEmpty("REST")),
            }),
            Waiting,
            C::WrongAddress,
            A::CheckAddress,
        ),
        (
            "token of another user",
            final_refusal(1, "token or password does not match login info"),
            Failed,
            C::BadCredentials,
            A::GiveCredentials,
        ),
        ("token has expired", final_refusal(6, "token expired"), Failed, C::TokenEnded, A::GiveCredentials),
        (
            "token ends, nobody gives another",
            Fault::End(DisconnectReason::TokenExpired),
            Failed,
            C::TokenEnded,
            A::GiveCredentials,
        ),
        ("user not found at PROVISION", final_refusal(1, "user not found"), Failed, C::UserMissing, A::RegisterUser),
        ("too many devices", final_refusal(13, "x"), Failed, C::DeviceLimit, A::FreeDevice),
        ("bound to another device", final_refusal(11, "x"), Failed, C::DeviceLimit, A::FreeDevice),
        ("serving disabled", final_refusal(12, "x"), Waiting, C::ServingDisabled, A::EnableService),
        ("malformed parameter", final_refusal(4, "x"), Failed, C::Malformed, A::FixAccount),
        ("online limit", passing_refusal(7, "the app online count limit"), Waiting, C::AppLimit, A::RaiseLimit),
        ("daily limit", passing_refusal(7, "the app day live count limit"), Waiting, C::AppLimit, A::RaiseLimit),
        ("monthly limit", passing_refusal(7, "the app month live count limit"), Waiting, C::AppLimit, A::RaiseLimit),
        ("registered users' limit", passing_refusal(1, "user register limit"), Waiting, C::AppLimit, A::RaiseLimit),
        ("server failed at PROVISION", passing_refusal(1, "unknown"), Waiting, C::ServiceFailed, A::Wait),
        (
            "provider fails for now",
            Fault::Attempt(LossCause::Token(TokenError::Provider(ProviderError::new("down")))),
            Waiting,
            C::Provider,
            A::CheckProvider,
        ),
        (
            "provider panics",
            Fault::Attempt(LossCause::Token(TokenError::Panicked)),
            Waiting,
            C::Provider,
            A::CheckProvider,
        ),
        (
            "provider is too slow",
            Fault::Attempt(LossCause::Token(TokenError::Timeout)),
            Waiting,
            C::Provider,
            A::CheckProvider,
        ),
        (
            "provider says no for good",
            Fault::Open(OpenError::Provider { user: user(), error: ProviderError::permanent("gone").into() }),
            Failed,
            C::Provider,
            A::CheckProvider,
        ),
        (
            "malformed login text",
            Fault::Open(OpenError::Account(ConfigError::Device {
                what: "login extension",
                value: "x".into(),
                problem: "is too long",
            })),
            Failed,
            C::Malformed,
            A::FixAccount,
        ),
        ("state folder hangs", timeout(ConnectStep::State), Waiting, C::Disk, A::CheckDisk),
        (
            "206",
            kicked(Kick::LoggedInElsewhere { ext: Some(ServerText::from("phone")) }),
            Parked,
            C::KickedElsewhere,
            A::FindOtherLogin,
        ),
        ("207", kicked(Kick::UserRemoved), Failed, C::UserMissing, A::RegisterUser),
        ("216", kicked(Kick::PasswordChanged), Failed, C::PasswordChanged, A::GiveCredentials),
        ("217", kicked(Kick::ByOtherDevice), Parked, C::KickedByCall, A::AskWhoKicked),
        ("link reset", Fault::Lost(LossCause::Io("reset".into())), Reconnecting, C::LinkLost, A::Wait),
        (
            "heartbeat unanswered",
            Fault::Lost(LossCause::HeartbeatTimeout { silent_for: Duration::from_secs(40) }),
            Reconnecting,
            C::LinkLost,
            A::Wait,
        ),
        (
            "server closes",
            Fault::Lost(LossCause::ClosedByPeer { code: Some(1001), reason: String::new() }),
            Reconnecting,
            C::LinkLost,
            A::Wait,
        ),
        (
            "attempts used up",
            Fault::End(DisconnectReason::AttemptsExhausted {
                attempts: 5,
                last: LossCause::Timeout(ConnectStep::Connect),
            }),
            Waiting,
            C::Timeout,
            A::Wait,
        ),
        (
            "its actor panicked",
            Fault::End(DisconnectReason::ActorEnded(ActorEnd::Panicked)),
            Waiting,
            C::Application,
            A::CheckApplication,
        ),
        (
            "its arbiter ended",
            Fault::Open(OpenError::Connection(ConnectionError::Stopped)),
            Waiting,
            C::Application,
            A::CheckApplication,
        ),
        ("closed by the application", Fault::End(DisconnectReason::Closed), Paused, C::Asked, A::Resume),
    ];
    assert!(rows.len() >= 40);
    for (name, fault, state, cause, advice) in rows {
        let mut world = World::new(KickPolicy::Park);
        let index = world.add(AccountSpec::new(Credentials::password("bot-1", "password").unwrap()));
        world.silence(index);
        world.run_for(Duration::from_secs(1));
        let report = match fault {
            Fault::Attempt(loss) => {
                Report::AttemptOver(AttemptEnd::failed(&AttemptFailure::new(ConnectStep::Connect, loss)))
            }
            Fault::Open(error) => Report::Ended(end_of_open(&error)),
            Fault::End(reason) => Report::Ended(end_of(&reason)),
            Fault::Lost(loss) => {
                world.report(index, Report::AttemptOver(AttemptEnd::Online));
                world.report(index, Report::Online);
                let cause = crate::fleet::Cause::of_loss(&loss);
                Report::Reconnecting { attempt: 1, delay: Duration::from_millis(400), cause }
            }
        };
        world.report(index, report);
        let (is, why) = world.told(index);
        assert_eq!((is.kind(), why.as_ref().map(|why| why.kind)), (state, Some(cause)), "{name}: {is:?}, {why:?}");
        assert_eq!(is.advice(why.as_ref()), Some(advice), "{name}");
        let text = why.map(|why| why.to_string()).unwrap_or_default();
        assert!(text.len() > 5, "{name}: {text:?}");
    }
}
