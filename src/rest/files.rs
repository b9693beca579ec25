//! Files: up to the service and back (messages spec §5.1).

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use awc::{
    body::{BodySize, MessageBody},
    http::{
        Method, Uri,
        header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION},
    },
};
use bytes::Bytes;
use tokio::time::timeout;

use super::{
    address::{host, resolved},
    answer::{odd, text},
    client::{RestClient, percent_encoded},
    download::{Download, Fetch, Incoming},
    upload::Upload,
};
use crate::{
    model::{
        account::{Token, UserId},
        error::{Operation, RestError, RestErrorKind},
        message::{Attachment, FileSecret},
    },
    net::{Activity, Target, unacknowledged_bytes},
    rest::{
        http,
        http_call::{Call, texts},
        multipart::{Broken, Multipart},
        session_call::Caller,
    },
};

const REDIRECTS: usize = 3;

const MAX_ID: usize = 128;

/// The shortest time after which it is looked whether bytes were acknowledged.
const TICK: Duration = Duration::from_millis(10);

/// Files, by a user's own token.
impl RestClient {
    /// Uploads a file and answers with what a message needs to point at it: its address and its share-secret.
    ///
    /// The next host is tried only where not a byte was sent. Nothing may stand still for longer than
    /// [`Upload::idle_timeout`], nor all of it take longer than [`Upload::timeout`].
    ///
    /// # Errors
    /// [`RestErrorKind::FileTooLarge`] and [`RestErrorKind::File`] for the source (101); otherwise any [`RestError`],
    /// whose number is 101 where the service refuses the file.
    pub async fn upload(&self, token: &Token, user: &UserId, upload: Upload) -> Result<Attachment, RestError> {
        let mut path = "chatfiles".to_owned();
        if let Some((kind, target)) = upload.query() {
            path.push_str(&format!("?chat-type={kind}&chat-target={}", percent_encoded(&target)));
        }
        let mut call = self.session_call(Operation::Upload, Method::POST, Caller { token, user }, &path);
        let local = |kind| call.fail(kind).about(Some(user), None);
        if !http::is_possible() {
            return Err(local(RestErrorKind::NoRuntime));
        }
        let (name, idle, limit) = (upload.name.clone(), upload.idle, upload.timeout);
        let form = upload.open().await.map_err(local)?;
        call.timeout = limit;
        let form = Rc::new(RefCell::new(form));
        let mut stored = self.tried(&call, async |base| self.sent(&call, base, &form, idle).await).await?;
        stored.name = name;
        stored.secret.iter().for_each(|secret| self.redactor.learn(secret));
        Ok(stored)
    }

    async fn sent(
        &self,
        call: &Call<'_>,
        base: &str,
        form: &Rc<RefCell<Multipart>>,
        idle: Duration,
    ) -> Result<Attachment, RestError> {
        let base = base.trim_end_matches('/');
        let url = format!("{base}{}", call.path);
        let (host, started) = (host(&url), Instant::now());
        let way = http::CallProgress::default();
        form.borrow_mut().moved = tokio::time::Instant::now();
        let upload = way.of(exchanged(call, &url, form, &way));
        let outcome = moving(form, way.traffic(), idle, call.timeout, upload).await;
        let outcome = outcome.unwrap_or_else(|limit| {
            let error = call.fail(RestErrorKind::Timeout(limit)).at(way.step());
            // A source that gives nothing says nothing about the host that waits for it.
            Err(if form.borrow().hungry { error.elsewhere() } else { error })
        });
        let outcome = outcome.and_then(|(status, body)| {
            call.parsed(status, &body, |answer| {
                let entity = answer.get("entities").and_then(|entities| entities.get(0));
                let entity = entity.ok_or_else(|| odd("it has no entities"))?;
                let id = text(entity, "uuid").filter(|id| is_id(id)).ok_or_else(|| odd("it names no file"))?;
                Ok(Attachment {
                    secret: text(entity, "share-secret").filter(|secret| !secret.is_empty()).map(FileSecret::new),
                    length: form.borrow().done(),
                    ..Attachment::at(format!("{base}{}", self.path(&format!("chatfiles/{id}"))))
                })
            })
        });
        let outcome = outcome.map_err(|error| {
            let mut form = form.borrow_mut();
            // What is behind the broken body tells more than that it broke.
            let error = form.failed.take().map_or(error, |kind| call.fail(kind));
            error.spent(form.started)
        });
        call.told(&self.logger, host.as_deref(), started, outcome)
    }

    /// Begins to download a file of this application; the answer's head has come when it returns.
    ///
    /// Token and share-secret go to the client's own REST host only, whatever host the attachment's address names: of
    /// the address only the file's id counts. An address that is not that of a file of this application
    /// (`/{org}/{app}/chatfiles/{id}`) is refused: it may be anything that a sender wants this machine to call. At most
    /// 3 redirects of the service are followed, to another host without token and secret and never from https to http.
    ///
    /// # Errors
    /// [`RestErrorKind::ForeignAddress`] before anything is sent; [`RestErrorKind::FileTooLarge`] for a file over
    /// [`Fetch::limit`]; otherwise any [`RestError`], among them [`RestErrorKind::FileForbidden`] (222) and
    /// [`RestErrorKind::FileExpired`] (223). [`RestErrorKind::NoRuntime`] outside an actix system.
    pub async fn download(&self, token: &Token, user: &UserId, file: impl Into<Fetch>) -> Result<Download, RestError> {
        let mut fetch = file.into();
        let foreign = || RestError::local(Operation::Download, RestErrorKind::ForeignAddress).about(Some(user), None);
        let (id, thumbnail) = self.stored(&fetch.url).ok_or_else(foreign)?;
        fetch.thumbnail |= thumbnail;
        let path = format!("chatfiles/{id}");
        let mut call = self.session_call(Operation::Download, Method::GET, Caller { token, user }, &path);
        fetch.secret.iter().for_each(|secret| call.secrets.add(secret));
        // The rest of the answer is read on by a task of the arbiter.
        if !http::in_system() {
            return Err(call.fail(RestErrorKind::NoRuntime).about(Some(user), None));
        }
        let (incoming, host) = self.tried(&call, async |base| self.begun(&call, base, &fetch).await).await?;
        let host = host.map(|host| call.secrets.redactor().shown(host));
        Ok(Download::start(incoming, user, host, call.secrets))
    }

    async fn begun(&self, call: &Call<'_>, base: &str, fetch: &Fetch) -> Result<(Incoming, Option<String>), RestError> {
        let mut url = format!("{}{}", base.trim_end_matches('/'), call.path);
        let started = Instant::now();
        let way = http::CallProgress::default();
        let answered = timeout(call.timeout, way.of(followed(call, &mut url, fetch, &way))).await;
        let outcome = answered.unwrap_or_else(|_| Err(call.fail(RestErrorKind::Timeout(call.timeout)).at(way.step())));
        let outcome = outcome.map_err(|error| {
            let at_home = same_host(Target::parse(base).as_ref(), &url);
            if at_home { error } else { error.elsewhere() }
        });
        let host = host(&url);
        let incoming = call.told(&self.logger, host.as_deref(), started, outcome)?;
        Ok((incoming, host))
    }

    /// Returns the id of a file of this application by its address at any host, and whether it is its thumbnail's.
    fn stored(&self, url: &str) -> Option<(String, bool)> {
        let uri: Uri = url.parse().ok()?;
        let mut steps = uri.path().rsplit('/');
        let (id, place, app, org) = (steps.next()?, steps.next()?, steps.next()?, steps.next()?);
        let is = |step: &str, name: &str| step.eq_ignore_ascii_case(name) || step == percent_encoded(name);
        let known = is_id(id) && place == "chatfiles" && is(app, self.app_key.app()) && is(org, self.app_key.org());
        let thumbnail = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "thumbnail=true"));
        known.then(|| (id.to_owned(), thumbnail))
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

async fn exchanged(
    call: &Call<'_>,
    url: &str,
    form: &Rc<RefCell<Multipart>>,
    way: &http::CallProgress,
) -> Result<(u16, Bytes), RestError> {
    let boundary = form.borrow().boundary.clone();
    let request = call
        .request(url, call.token, false)?
        .insert_header((ACCEPT, "*/*"))
        .insert_header((CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}")))
        .insert_header(("restrict-access", "true"));
    let sent = request.send_body(http::Refusable::new(FormBody(Rc::clone(form)), way)).await;
    call.answer(url, sent.map_err(|error| call.transport(&error))?).await
}

/// Runs an upload for as long as something moves and its time is not over; otherwise the limit that was hit. What this
/// machine took to be sent may lie here for long on a slow link. So while nothing else moves, it is looked at now and
/// then how much of it the peer has not acknowledged.
async fn moving<T>(
    form: &Rc<RefCell<Multipart>>,
    traffic: &Activity,
    idle: Duration,
    limit: Duration,
    upload: impl Future<Output = T>,
) -> Result<T, Duration> {
    let mut upload = pin!(upload);
    let began = tokio::time::Instant::now();
    let (mut unacknowledged, mut acknowledged) = (None, None);
    let look = idle / 4;
    loop {
        let moved = [Some(form.borrow().moved), traffic.moved(), acknowledged].into_iter().flatten().max();
        let still = moved.unwrap_or(began).elapsed();
        let left = limit.saturating_sub(began.elapsed());
        let wait = idle.saturating_sub(still).min(left);
        if wait.is_zero() {
            return Err(if left.is_zero() { limit } else { idle });
        }
        if let Ok(done) = timeout(wait.min(look.max(TICK)), upload.as_mut()).await {
            return Ok(done);
        }
        let Some(ends) = traffic.ends() else { continue };
        let now = match first_of(upload.as_mut(), unacknowledged_bytes(ends)).await {
            Ok(done) => return Ok(done),
            Err(now) => now,
        };
        if now.zip(unacknowledged).is_some_and(|(now, before)| now < before) {
            acknowledged = Some(tokio::time::Instant::now());
        }
        unacknowledged = now;
    }
}

/// Whichever comes first, the one as `Ok`, the other as `Err`.
async fn first_of<T, E>(one: impl Future<Output = T>, other: impl Future<Output = E>) -> Result<T, E> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|task| match one.as_mut().poll(task) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => other.as_mut().poll(task).map(Err),
    })
    .await
}

/// A form as the body of a request; what is left of it stays outside, should the request fail before it is asked for.
struct FormBody(Rc<RefCell<Multipart>>);

impl MessageBody for FormBody {
    type Error = Broken;

    fn size(&self) -> BodySize {
        self.0.borrow().size().map_or(BodySize::Stream, BodySize::Sized)
    }

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.0.borrow_mut().poll_piece(task)
    }
}

/// Asks for the file and follows redirects; `url` is where it was found, or where it failed.
async fn followed(
    call: &Call<'_>,
    url: &mut String,
    fetch: &Fetch,
    way: &http::CallProgress,
) -> Result<(u16, Incoming), RestError> {
    let home = Target::parse(url);
    let mut at_home = true;
    for _ in 0..=REDIRECTS {
        let mut request = call.request(url, call.token.filter(|_| at_home), false)?;
        if at_home {
            if let Some(secret) = &fetch.secret {
                let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| {
                    call.fail(RestErrorKind::Address("the share-secret cannot stand in a header".to_owned()))
                })?;
                value.set_sensitive(true);
                request = request.insert_header(("share-secret", value));
            }
            if fetch.thumbnail {
                request = request.insert_header(("thumbnail", "true"));
            }
        }
        let response = request.send().await.map_err(|error| call.transport(&error))?;
        let status = response.status();
        if status.is_success() {
            if !matches!(status.as_u16(), 200 | 203) {
                return Err(call.fail(odd(format!("its status is {status}, which is no whole file"))));
            }
            if let Some(coding) = http::first_coding(texts(response.headers(), CONTENT_ENCODING)) {
                return Err(call.fail(odd(http::Packed::Unknown(coding).to_string())));
            }
            let length = texts(response.headers(), CONTENT_LENGTH).find_map(|length| length.parse().ok());
            let incoming =
                Incoming::new(response, way.traffic().clone(), length, fetch).map_err(|kind| call.fail(kind))?;
            return Ok((status.as_u16(), incoming));
        }
        let to = texts(response.headers(), LOCATION).next();
        let Some(to) = to.filter(|_| matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)) else {
            // An answer that is no success and not to be followed is always an error.
            return Err(match call.answer(url, response).await {
                Err(error) => error,
                Ok(_) => call.fail(odd("it is neither the file nor an error")),
            });
        };
        let next = resolved(url, to).ok_or_else(|| call.fail(odd("it redirects to no usable address")))?;
        // Once away from home nothing that leads back there is trusted with the token.
        at_home = at_home && same_host(home.as_ref(), &next);
        *url = next;
    }
    Err(call.fail(odd("it redirects too often")))
}

fn same_host(home: Option<&Target>, url: &str) -> bool {
    let there = Target::parse(url);
    matches!((home, &there), (Some(home), Some(there))
        if home.secure == there.secure && home.port == there.port && home.host.eq_ignore_ascii_case(&there.host))
}

#[cfg(test)]
mod tests {
    use super::{is_id, same_host};
    use crate::{config::Config, net::Target, rest::RestClient};

    #[test]
    fn only_the_address_of_a_file_of_this_application_names_one() {
        let config = Config::builder("org#App").addresses("https://rest.example", "wss://s.example");
        let rest = RestClient::new(&config.build().unwrap()).unwrap();
        let id = |url: &str| rest.stored(url).map(|(id, _)| id);
        for good in [
            "https://a/org/app/chatfiles/u-1",
            "http://b:1/prefix/org/App/chatfiles/u-1?em-redirect=true",
            "/org/app/chatfiles/u-1",
        ] {
            assert_eq!(id(good).as_deref(), Some("u-1"), "{good}");
        }
        for bad in [
            "",
            "https://a/u-1",
            "https://a/org/other/chatfiles/u",
            "https://a/x/app/chatfiles/u",
            "https://a/org/app/files/u",
            "https://a/org/app/chatfiles/",
            "https://a/org/app/chatfiles/..",
            "https://a/org/app/chatfiles/u%2Fx",
            "file:///org/app/chatfiles/u/x",
        ] {
            assert_eq!(id(bad), None, "{bad}");
        }
        assert_eq!(rest.stored("http://a/org/app/chatfiles/u?x=1&thumbnail=true"), Some(("u".to_owned(), true)));
        assert!(!is_id(&"x".repeat(129)));
    }

    #[test]
    fn a_host_is_the_same_by_scheme_name_and_port() {
        let home = Target::parse("https://a.example/x");
        assert!(same_host(home.as_ref(), "https://A.example:443/y"));
        for other in [
            "http://a.example/",
            "https://a.example:444/",
            "https://b.example/",
            "https://a.example.b/",
            "https://a.example@b/",
            "x",
        ] {
            assert!(!same_host(home.as_ref(), other), "{other}");
        }
        assert!(!same_host(None, "https://a.example/"));
    }
}
