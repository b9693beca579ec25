use std::{fmt, time::Duration};

use crate::{
    model::error::CertificateProblem,
    util::{Escaped, weight::weigh},
};

/// Kind of failure of a REST call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestErrorKind {
    /// No answer: the host was not found, refused, or cut the connection; in words.
    Unreachable(String),
    /// No whole answer within the limit.
    Timeout(Duration),
    /// TLS could not be set up, or the handshake failed; in words.
    Tls(String),
    /// The server's certificate was refused.
    Certificate(CertificateProblem),
    /// The address cannot be called; in words.
    Address(String),
    /// The call was made outside an actix system, such as under `#[tokio::main]`; nothing was sent.
    NoRuntime,
    /// A batch was empty or over [`RestClient::MAX_BATCH`](crate::RestClient::MAX_BATCH) users; nothing was sent.
    BatchSize(usize),
    /// A list held no entry, or more than the service takes in one call; nothing was sent.
    ListSize {
        /// Entries given.
        given: usize,
        /// The most entries allowed.
        most: usize,
    },
    /// A value is outside what the service takes; nothing was sent. Which, in words.
    Parameter(&'static str),
    /// The file is larger than the limit set for it.
    FileTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A local file, or the source of an upload, could not be read or written.
    File {
        /// The kind of failure.
        kind: std::io::ErrorKind,
        /// In words.
        detail: String,
    },
    /// A panic in the application's `on_progress` or upload stream, which ended the call and nothing else.
    Panicked(&'static str),
    /// The attachment's address is not that of a file of this application; nothing was sent.
    ForeignAddress,
    /// The answer said success but could not be understood, or was over 1 MiB; in words.
    UnexpectedAnswer(String),
    /// `server.json` named no usable address; which list.
    DiscoveryEmpty(&'static str),
    /// The user id is taken.
    UsernameTaken,
    /// The user id holds characters the service does not allow.
    IllegalUsername,
    /// The user id is too long for the service.
    UsernameTooLong,
    /// The nickname is too long for the service.
    NicknameTooLong,
    /// The service saw no password.
    PasswordMissing,
    /// The service saw no user id.
    UsernameMissing,
    /// The service could not read the request.
    MalformedJson,
    /// The application does not allow open registration.
    RegistrationClosed,
    /// The password is wrong.
    InvalidPassword,
    /// There is no such user.
    UserNotFound,
    /// The token is wrong or has expired, or none was given where one is needed.
    Unauthorized,
    /// The caller may not do this.
    Forbidden,
    /// There is no such app key.
    AppNotFound,
    /// Something else was not found.
    NotFound,
    /// The file may not be read with this token and share-secret.
    FileForbidden,
    /// The file is not stored any more.
    FileExpired,
    /// The application has not enabled this service.
    ServiceDisabled,
    /// A limit of the service, in number or size, is reached.
    LimitReached,
    /// The text published as presence is too long.
    PresenceTooLong,
    /// The user is not in that group, thread or chat room.
    NotAMember,
    /// There is no such group or chat room.
    GroupNotFound,
    /// There is no such message.
    MessageNotFound,
    /// The service does not support this here.
    Unsupported,
    /// The service refused the request for a reason without a kind of its own.
    BadRequest,
    /// Calls come faster than the service allows.
    RateLimited,
    /// The client's own rate limit would have delayed the call too long; nothing was sent.
    Throttled {
        /// The wait it would have needed.
        wait: Duration,
    },
    /// The application's plan is used up.
    PlanLimit,
    /// 503: the service is overloaded.
    ServerBusy,
    /// 500 or another 5xx: the service failed.
    ServerError,
    /// Another status, or an answer that the service itself would not give.
    Other,
}

pub(crate) const MAX_BATCH: usize = 60;

impl RestErrorKind {
    pub(crate) fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use RestErrorKind as K;
        let text = match self {
            K::Unreachable(detail) => {
                return write!(f, "no answer ({}); check the network and the address", Escaped(detail));
            }
            K::Timeout(limit) => return write!(f, "no whole answer within {limit:?}; try again later"),
            K::Tls(detail) => return write!(f, "no trusted connection: {}", Escaped(detail)),
            K::Certificate(problem) => return write!(f, "the server's certificate was refused: {problem}"),
            K::Address(detail) => return write!(f, "the address cannot be called: {}", Escaped(detail)),
            K::NoRuntime => {
                "called outside an actix system; call it inside one (`#[actix::main]`, `actix::System::new`)"
            }
            K::BatchSize(size) => {
                let most = MAX_BATCH;
                return write!(f, "{size} users in one batch; give 1 to {most}, nothing was sent");
            }
            K::ListSize { given, most } => {
                return write!(f, "{given} entries in one call; give 1 to {most}, nothing was sent");
            }
            K::Parameter(which) => return write!(f, "{which}; nothing was sent"),
            K::FileTooLarge { limit } => return write!(f, "the file is larger than the limit of {limit} bytes"),
            K::File { detail, .. } => return write!(f, "the file cannot be read or written: {}", Escaped(detail)),
            K::Panicked(lent) => return write!(f, "{lent} panicked; the panic's own message says where"),
            K::ForeignAddress => "the address is not that of a file of this application; nothing was sent",
            K::UnexpectedAnswer(detail) => {
                return write!(
                    f,
                    "the answer cannot be understood ({}); check that the address is the service's",
                    Escaped(detail)
                );
            }
            K::DiscoveryEmpty(list) => {
                return write!(f, "the answer names no usable {list} address; give the addresses in the configuration");
            }
            K::UsernameTaken => "the user id is taken; log in, or choose another",
            K::IllegalUsername => "the service does not allow this user id; choose another",
            K::UsernameTooLong => "the user id is too long; choose a shorter one",
            K::NicknameTooLong => "the nickname is too long; choose a shorter one",
            K::PasswordMissing => "the service saw no password; give one",
            K::UsernameMissing => "the service saw no user id; give one",
            K::MalformedJson => "the service could not read the request; check that the address is the service's",
            K::RegistrationClosed => "the application does not allow open registration; register with an app token",
            K::InvalidPassword => "the password is wrong; log in with the right one",
            K::UserNotFound => "there is no such user; register it first",
            K::Unauthorized => "not authorised; get a new token",
            K::Forbidden => "the caller may not do this; check the token's rights and the application's settings",
            K::AppNotFound => "the service does not know the app key; check it and the address",
            K::NotFound => "the service found nothing there; check the address and the app key",
            K::FileForbidden => "the file may not be read; check its share-secret",
            K::FileExpired => "the file is not stored any more",
            K::ServiceDisabled => "the application has not enabled this; enable it in the vendor's console",
            K::LimitReached => "a limit of the service is reached; send less, or fewer",
            K::PresenceTooLong => "the presence text is too long; shorten it",
            K::NotAMember => "the user is not in that group or chat room; join first",
            K::GroupNotFound => "there is no such group or chat room; check its id",
            K::MessageNotFound => "there is no such message; check its id",
            K::Unsupported => "the service does not support this here",
            K::BadRequest => "the service refused the request; its text says why",
            K::RateLimited => "too many calls; wait before the next one",
            K::Throttled { wait } => {
                return write!(
                    f,
                    "its turn within the rate limits comes in {wait:?}; nothing was sent, call again then"
                );
            }
            K::PlanLimit => "the application's plan is used up; wait, or get a larger one",
            K::ServerBusy => "the service is overloaded; try again later",
            K::ServerError => "the service failed; try again later",
            K::Other => "an answer the service would not give; check the address",
        };
        f.write_str(text)
    }
}

weigh! {
    enum RestErrorKind {
        Unreachable(value), Timeout(value), Tls(value), Certificate(value), Address(value), NoRuntime, BatchSize(value),
        ListSize { given, most }, Parameter(value), FileTooLarge { limit }, File { kind, detail }, Panicked(value),
        ForeignAddress, UnexpectedAnswer(value), DiscoveryEmpty(value), UsernameTaken, IllegalUsername, UsernameTooLong,
        NicknameTooLong, PasswordMissing, UsernameMissing, MalformedJson, RegistrationClosed, InvalidPassword,
        UserNotFound, Unauthorized, Forbidden, AppNotFound, NotFound, FileForbidden, FileExpired, ServiceDisabled,
        LimitReached, PresenceTooLong, NotAMember, GroupNotFound, MessageNotFound, Unsupported, BadRequest, RateLimited,
        Throttled { wait }, PlanLimit, ServerBusy, ServerError, Other
    }
}
