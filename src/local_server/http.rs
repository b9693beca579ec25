//! The HTTP service behind the relay: REST calls to their answers, upgrades to the socket.

use std::{convert::Infallible, future::poll_fn, net::SocketAddr, pin::Pin, rc::Rc, sync::Arc, time::Duration};

use actix_codec::Framed;
use actix_http::{HttpService, Payload, Request, Response, StatusCode, body::BoxBody, h1, header};
use actix_service::{Service as _, ServiceFactory as _, fn_service};
use bytes::{Bytes, BytesMut};
use futures_core::Stream as _;
use tokio::{
    io::DuplexStream,
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    limits,
    rest::{Answer, Call},
    rules::Rules,
    shared::SharedState,
    socket,
};

/// Serves one link until it ends.
pub(super) type Service = Rc<dyn Fn(DuplexStream, SocketAddr) -> Pin<Box<dyn Future<Output = ()>>>>;

/// Builds the service; `None` if the HTTP stack could not be built.
pub(super) async fn service(shared: Arc<SharedState>) -> Option<Service> {
    let for_rest = Arc::clone(&shared);
    let rules = shared.look(|state| state.rules);
    let intake = Rc::new(Intake {
        uploads: BodyCapacity::of(rules.upload_bytes),
        others: BodyCapacity::of(limits::BODIES_BYTES),
        pause: rules.request_timeout,
    });
    let rest = fn_service(move |request: Request| {
        let (shared, intake) = (Arc::clone(&for_rest), Rc::clone(&intake));
        async move {
            let peer = request.peer_addr();
            shared.change(|state| state.link_serves(peer, true));
            let response = rest(&shared, &intake, request).await;
            shared.change(|state| state.link_serves(peer, false));
            Ok::<_, Infallible>(response)
        }
    });
    let upgrade = fn_service(move |(request, framed): (Request, Framed<DuplexStream, h1::Codec>)| {
        shared.change(|state| state.link_serves(request.peer_addr(), true));
        socket::upgraded(Arc::clone(&shared), request, framed)
    });
    let http = HttpService::build()
        .client_request_timeout(rules.request_timeout)
        // Who is refused while it still sends reads the answer first.
        .client_disconnect_timeout(limits::FAREWELL)
        .keep_alive(keep_alive(&rules))
        .upgrade(upgrade)
        .h1(rest)
        .new_service(())
        .await
        .ok()?;
    let http = Rc::new(http);
    Some(Rc::new(move |io, peer| {
        let serving = http.call((io, Some(peer)));
        Box::pin(async move {
            // An error here is a client that went away or does not speak HTTP.
            let _ = serving.await;
        })
    }))
}

/// How long a link may be idle between two requests: with the usual limit 75 s, as common fronts have it.
pub(super) fn keep_alive(rules: &Rules) -> Duration {
    rules.request_timeout + rules.request_timeout / 4
}

async fn rest(shared: &SharedState, intake: &Intake, mut request: Request) -> Response<BoxBody> {
    let payload = request.take_payload();
    let read = intake.read(&request, payload).await;
    if shared.is_silent() {
        // It is not looked at any more, so it takes no room.
        drop(read);
        shared.silence_over().await;
        if let Some(peer) = request.peer_addr() {
            shared.change(|state| state.cut_link(peer));
        }
        // Nobody gets this: the link has been cut.
        return Response::new(StatusCode::SERVICE_UNAVAILABLE);
    }
    let (body, _room) = match read {
        Ok(read) => read,
        Err(unread) => return unread.answered(),
    };
    let bearer = request
        .head()
        .headers()
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default().trim());
    let uri = request.uri();
    let call = Call {
        method: request.method().as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        bearer,
        headers: &request.head().headers,
        body: &body,
    };
    answered(shared.change(|state| state.rest(&call)))
}

fn answered(answer: Answer) -> Response<BoxBody> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(status).set_body(BoxBody::new(answer.body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    for (name, value) in answer.headers {
        headers.insert(name, value);
    }
    response
}

/// Room for bodies in flight, which keep theirs until they are answered.
struct BodyCapacity {
    bytes: usize,
    free: Semaphore,
}

impl BodyCapacity {
    fn of(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        BodyCapacity { bytes, free: Semaphore::new(bytes) }
    }
}

/// Takes in bodies, within bounds of bytes and time.
struct Intake {
    uploads: BodyCapacity,
    others: BodyCapacity,
    /// How long a body may wait for room, and stand still.
    pause: Duration,
}

/// Why there is no body.
enum Unread {
    TooLarge,
    Slow,
    Full,
    Broken,
}

impl Unread {
    fn answered(self) -> Response<BoxBody> {
        let mut response = Response::new(match self {
            Unread::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Unread::Slow => StatusCode::REQUEST_TIMEOUT,
            Unread::Full => StatusCode::SERVICE_UNAVAILABLE,
            Unread::Broken => StatusCode::BAD_REQUEST,
        });
        if matches!(self, Unread::Full) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        // What is left of the body is not read.
        response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
        response
    }
}

impl Intake {
    /// Reads a whole body into room that is reserved for all of it before, so that bodies never wait for each other's rest.
    async fn read(&self, request: &Request, payload: Payload) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Unread> {
        if matches!(payload, Payload::None) {
            return Ok((Bytes::new(), None));
        }
        let (room, most) = if request.method() == "POST" && request.path().ends_with("/chatfiles") {
            (&self.uploads, limits::UPLOAD)
        } else {
            (&self.others, limits::BODY)
        };
        let most = most.min(room.bytes);
        let length =
            request.head().headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > most) {
            return Err(Unread::TooLarge);
        }
        let reserved = u32::try_from(length.unwrap_or(most)).unwrap_or(u32::MAX);
        let permit = match timeout(self.pause, room.free.acquire_many(reserved)).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(Unread::Full),
        };
        let bytes =
            timeout(limits::WHOLE_BODY, self.whole(payload, length, most)).await.unwrap_or(Err(Unread::Slow))?;
        Ok((bytes, Some(permit)))
    }

    async fn whole(&self, mut payload: Payload, length: Option<usize>, most: usize) -> Result<Bytes, Unread> {
        let mut body = BytesMut::with_capacity(length.unwrap_or(0));
        loop {
            let next = timeout(self.pause, poll_fn(|cx| Pin::new(&mut payload).poll_next(cx)));
            match next.await.map_err(|_| Unread::Slow)? {
                None => return Ok(body.freeze()),
                Some(Err(_)) => return Err(Unread::Broken),
                Some(Ok(chunk)) if body.len() + chunk.len() > most => {
                    drop(chunk);
                    return Err(Unread::TooLarge);
                }
                Some(Ok(chunk)) => body.extend_from_slice(&chunk),
            }
        }
    }
}
