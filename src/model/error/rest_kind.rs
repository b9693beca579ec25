use std::{fmt, time::Duration};

use crate::{
    model::error::CertificateProblem,
    util::{Escaped, weight::weigh},
};

pub(crate) const MAX_BATCH: usize = 60;

/// Declares the kinds with what each says in a message.
macro_rules! kinds {
    ($(
        $(#[$doc:meta])*
        $kind:ident $(($value:ident: $value_type:ty))? $({ $($(#[$field_doc:meta])* $field:ident: $field_type:ty,)* })?
        => $text:literal $(, $argument:expr)?;
    )*) => {
        /// Kind of failure of a REST call.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum RestErrorKind {
            $($(#[$doc])* $kind $(($value_type))? $({ $($(#[$field_doc])* $field: $field_type,)* })?,)*
        }

        impl RestErrorKind {
            #[allow(unused_variables, reason = "not every value is shown")]
            pub(crate) fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind $(($value))? $({ $($field),* })? => write!(f, $text $(, $argument)?),)*
                }
            }
        }

        weigh! { enum RestErrorKind { $($kind $(($value))? $({ $($field),* })?),* } }
    };
}

kinds! {
    /// No answer: the host was not found, refused, or cut the connection; in words.
    Unreachable(detail: String) => "no answer ({}); check the network and the address", Escaped(detail);
    /// No whole answer within the limit.
    Timeout(limit: Duration) => "no whole answer within {limit:?}; try again later";
    /// TLS could not be set up, or the handshake failed; in words.
    Tls(detail: String) => "no trusted connection: {}", Escaped(detail);
    /// The server's certificate was refused.
    Certificate(problem: CertificateProblem) => "the server's certificate was refused: {problem}";
    /// The address cannot be called; in words.
    Address(detail: String) => "the address cannot be called: {}", Escaped(detail);
    /// The call was made outside an actix system, such as under `#[tokio::main]`; nothing was sent.
    NoRuntime => "called outside an actix system; call it inside one (`#[actix::main]`, `actix::System::new`)";
    /// A batch was empty or over [`RestClient::MAX_BATCH`](crate::RestClient::MAX_BATCH) users; nothing was sent.
    BatchSize(size: usize) => "{size} users in one batch; give 1 to {MAX_BATCH}, nothing was sent";
    /// A list held no entry, or more than the service takes in one call; nothing was sent.
    ListSize {
        /// Entries given.
        given: usize,
        /// The most entries allowed.
        most: usize,
    } => "{given} entries in one call; give 1 to {most}, nothing was sent";
    /// A value is outside what the service takes; nothing was sent. Which, in words.
    Parameter(which: &'static str) => "{which}; nothing was sent";
    /// The file is larger than the limit set for it.
    FileTooLarge {
        /// The limit in bytes.
        limit: u64,
    } => "the file is larger than the limit of {limit} bytes";
    /// A local file, or the source of an upload, could not be read or written.
    File {
        /// The kind of failure.
        kind: std::io::ErrorKind,
        /// In words.
        detail: String,
    } => "the file cannot be read or written: {}", Escaped(detail);
    /// A panic in the application's `on_progress` or upload stream, which ended the call and nothing else.
    Panicked(lent: &'static str) => "{lent} panicked; the panic's own message says where";
    /// The attachment's address is not that of a file of this application; nothing was sent.
    ForeignAddress => "the address is not that of a file of this application; nothing was sent";
    /// The answer said success but could not be understood, or was over 1 MiB; in words.
    UnexpectedAnswer(detail: String) =>
        "the answer cannot be understood ({}); check that the address is the service's", Escaped(detail);
    /// `server.json` named no usable address; which list.
    DiscoveryEmpty(list: &'static str) =>
        "the answer names no usable {list} address; give the addresses in the configuration";
    /// The user id is taken.
    UsernameTaken => "the user id is taken; log in, or choose another";
    /// The user id holds characters the service does not allow.
    IllegalUsername => "the service does not allow this user id; choose another";
    /// The user id is too long for the service.
    UsernameTooLong => "the user id is too long; choose a shorter one";
    /// The nickname is too long for the service.
    NicknameTooLong => "the nickname is too long; choose a shorter one";
    /// The service saw no password.
    PasswordMissing => "the service saw no password; give one";
    /// The service saw no user id.
    UsernameMissing => "the service saw no user id; give one";
    /// The service could not read the request.
    MalformedJson => "the service could not read the request; check that the address is the service's";
    /// The application does not allow open registration.
    RegistrationClosed => "the application does not allow open registration; register with an app token";
    /// The password is wrong.
    InvalidPassword => "the password is wrong; log in with the right one";
    /// There is no such user.
    UserNotFound => "there is no such user; register it first";
    /// The token is wrong or has expired, or none was given where one is needed.
    Unauthorized => "not authorised; get a new token";
    /// The caller may not do this.
    Forbidden => "the caller may not do this; check the token's rights and the application's settings";
    /// There is no such app key.
    AppNotFound => "the service does not know the app key; check it and the address";
    /// Something else was not found.
    NotFound => "the service found nothing there; check the address and the app key";
    /// The file may not be read with this token and share-secret.
    FileForbidden => "the file may not be read; check its share-secret";
    /// The file is not stored any more.
    FileExpired => "the file is not stored any more";
    /// The application has not enabled this service.
    ServiceDisabled => "the application has not enabled this; enable it in the vendor's console";
    /// A limit of the service, in number or size, is reached.
    LimitReached => "a limit of the service is reached; send less, or fewer";
    /// The text published as presence is too long.
    PresenceTooLong => "the presence text is too long; shorten it";
    /// The user is not in that group, thread or chat room.
    NotAMember => "the user is not in that group or chat room; join first";
    /// There is no such group or chat room.
    GroupNotFound => "there is no such group or chat room; check its id";
    /// There is no such message.
    MessageNotFound => "there is no such message; check its id";
    /// The service does not support this here.
    Unsupported => "the service does not support this here";
    /// The service refused the request for a reason without a kind of its own.
    BadRequest => "the service refused the request; its text says why";
    /// Calls come faster than the service allows.
    RateLimited => "too many calls; wait before the next one";
    /// The client's own rate limit would have delayed the call too long; nothing was sent.
    Throttled {
        /// The wait it would have needed.
        wait: Duration,
    } => "its turn within the rate limits comes in {wait:?}; nothing was sent, call again then";
    /// The application's plan is used up.
    PlanLimit => "the application's plan is used up; wait, or get a larger one";
    /// 503: the service is overloaded.
    ServerBusy => "the service is overloaded; try again later";
    /// 500 or another 5xx: the service failed.
    ServerError => "the service failed; try again later";
    /// Another status, or an answer that the service itself would not give.
    Other => "an answer the service would not give; check the address";
}
