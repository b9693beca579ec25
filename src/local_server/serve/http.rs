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

use crate::local_server::{
    limits,
    net::Cut,
    rest::answer::{Answer, Call},
    serve::{control, shared::SharedState, socket},
};

/// Serves one link until it ends.
pub(crate) type Service = Rc<dyn Fn(DuplexStream, SocketAddr) -> Pin<Box<dyn Future<Output = ()>>>>;

/// Builds the service; `None` if the HTTP stack could not be built.
pub(crate) async fn service(shared: Arc<SharedState>) -> Option<Service> {
    let for_rest = Arc::clone(&shared);
    let settings = shared.read(|state| state.settings.clone());
    let bodies = Rc::new(BodyReader {
        uploads: BodyCapacity::of(settings.upload_bytes),
        others: BodyCapacity::of(limits::BODIES_BYTES),
        pause: settings.request_timeout,
    });
    let rest = fn_service(move |request: Request| {
        let (shared, bodies) = (Arc::clone(&for_rest), Rc::clone(&bodies));
        async move {
            let peer = request.peer_addr();
            shared.change(|state| state.links.set_serving(peer, true));
            let response = rest(&shared, &bodies, request).await;
            shared.change(|state| state.links.set_serving(peer, false));
            Ok::<_, Infallible>(response)
        }
    });
    let upgrade = fn_service(move |(request, framed): (Request, Framed<DuplexStream, h1::Codec>)| {
        shared.change(|state| state.links.set_serving(request.peer_addr(), true));
        socket::upgraded(Arc::clone(&shared), request, framed)
    });
    let http = HttpService::build()
        .client_request_timeout(settings.request_timeout)
        // A client refused while it still sends reads the answer first.
        .client_disconnect_timeout(limits::CLOSE_TIMEOUT)
        .keep_alive(settings.keep_alive())
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

async fn rest(shared: &SharedState, bodies: &BodyReader, mut request: Request) -> Response<BoxBody> {
    if let Some(answer) = control::answer(shared, &request) {
        return answer;
    }
    let payload = request.take_payload();
    let read = bodies.read(&request, payload).await;
    if shared.is_silent() {
        // It is not read any more, so it frees its share of the capacity.
        drop(read);
        shared.silence_over().await;
        if let Some(peer) = request.peer_addr() {
            shared.change(|state| state.cut_link(peer, Cut::Fin));
        }
        // Nobody gets this: the link has been cut.
        return Response::new(StatusCode::SERVICE_UNAVAILABLE);
    }
    let (body, _room) = match read {
        Ok(read) => read,
        Err(error) => return error.into_response(),
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

/// Capacity for bodies in flight; each holds its share until it is answered.
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
struct BodyReader {
    uploads: BodyCapacity,
    others: BodyCapacity,
    /// The limit of the wait for capacity, and of a pause in a body.
    pause: Duration,
}

/// A failure to read a body.
enum BodyError {
    TooLarge,
    Slow,
    Full,
    Broken,
}

impl BodyError {
    fn into_response(self) -> Response<BoxBody> {
        let mut response = Response::new(match self {
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Full => StatusCode::SERVICE_UNAVAILABLE,
            BodyError::Broken => StatusCode::BAD_REQUEST,
        });
        if matches!(self, BodyError::Full) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        // What is left of the body is not read.
        response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
        response
    }
}

impl BodyReader {
    /// Reads a whole body. Its size is reserved first, so that half-read bodies never wait for each other.
    async fn read(
        &self,
        request: &Request,
        payload: Payload,
    ) -> Result<(Bytes, Option<SemaphorePermit<'_>>), BodyError> {
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
            return Err(BodyError::TooLarge);
        }
        let reserved = u32::try_from(length.unwrap_or(most)).unwrap_or(u32::MAX);
        let permit = match timeout(self.pause, room.free.acquire_many(reserved)).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(BodyError::Full),
        };
        let bytes =
            timeout(limits::WHOLE_BODY, self.whole(payload, length, most)).await.unwrap_or(Err(BodyError::Slow))?;
        Ok((bytes, Some(permit)))
    }

    async fn whole(&self, mut payload: Payload, length: Option<usize>, most: usize) -> Result<Bytes, BodyError> {
        let mut body = BytesMut::with_capacity(length.unwrap_or(0));
        loop {
            let next = timeout(self.pause, poll_fn(|cx| Pin::new(&mut payload).poll_next(cx)));
            match next.await.map_err(|_| BodyError::Slow)? {
                None => return Ok(body.freeze()),
                Some(Err(_)) => return Err(BodyError::Broken),
                Some(Ok(chunk)) if body.len() + chunk.len() > most => {
                    drop(chunk);
                    return Err(BodyError::TooLarge);
                }
                Some(Ok(chunk)) => body.extend_from_slice(&chunk),
            }
        }
    }
}
